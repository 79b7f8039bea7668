"""Which model, regime and input go together: refused before anything is computed, without loading torch."""

from collections.abc import Collection, Mapping

from ml.adaptation.budgets import MOST_CONFIGURATIONS
from ml.inputs.view import LONGEST_CONTEXT, SHORTEST_CONTEXT
from ml.models.architecture import architecture_of
from ml.models.model import Model
from ml.strict import InputError, wrong
from ml.study import Arm, Study

JOINING = ("concat", "stack")
ON_TEXT = ("frozen", "lora", "full", "verbalizer")
FEWEST_TO_STACK = 2  # a class: one to fit on, one to leave out
CHANCE = ("lightgbm",)  # baselines whose fit depends on the seed


def require_possible_arms(study: Study, models: Mapping[str, Model]) -> None:
    """Refuse arms whose model, regime and input do not go together.

    Raises:
        InputError: which arm, what is wrong, what is allowed.
    """
    arms = {arm.name: arm for arm in study.arms}
    for arm in study.arms:
        model, kind = models[arm.model], study.views[arm.input].kind
        _require(arm, (arm.regime, kind), _possible(arm, model), model)
        _require_parts(arm, arms)
        _require_verbalizer(arm, model)
        _require_options(arm)
        longest = min(model.max_tokens or 0, LONGEST_CONTEXT)
        if kind == "text" and not SHORTEST_CONTEXT <= (arm.max_tokens or 0) <= longest:
            raise InputError(
                f"Arm `{arm.name}`: wrong value {arm.max_tokens!r} for `max_tokens`."
                f" Allowed: {SHORTEST_CONTEXT} to {longest}"
            )
        if kind != "text" and arm.max_tokens is not None:
            raise InputError(
                f"Arm `{arm.name}`: `max_tokens` says nothing about input `{arm.input}`; drop it"
            )
    if study.configurations > MOST_CONFIGURATIONS:
        raise InputError(
            f"Wrong value {study.configurations} for `configurations` of study `{study.name}`."
            f" Allowed: 1 to {MOST_CONFIGURATIONS}, what every family's grid holds"
        )


def depends_on_seed(arm: Arm, arms: Mapping[str, Arm]) -> bool:
    """Whether another seed would give an arm other scores."""
    if arm.of:
        return arm.regime == "stack" or any(depends_on_seed(arms[name], arms) for name in arm.of)
    if arm.regime == "fit":
        return arm.model in CHANCE
    if arm.regime == "frozen":
        return arm.head == "mlp"
    return arm.regime != "verbalizer" or arm.mode == "lora"


def rests_on_smoke(arm: Arm, arms: Mapping[str, Arm], models: Mapping[str, Model]) -> bool:
    """Whether an arm, or any that it joins at whatever depth, has random weights."""
    return models[arm.model].smoke_only or any(rests_on_smoke(arms[name], arms, models) for name in arm.of)


def _possible(arm: Arm, model: Model) -> tuple[tuple[str, str], ...]:
    """Return the pairs of regime and kind of input that a model can have."""
    if model.kind != "baseline":
        return tuple((regime, "text") for regime in ON_TEXT)
    if model.name == "prior":
        return (("fit", "none"),)
    joining = tuple((regime, "none") for regime in JOINING) if model.name == "logistic_regression" else ()
    return (("fit", "counts"), *joining)


def _require(arm: Arm, given: tuple[str, str], possible: Collection[tuple[str, str]], model: Model) -> None:
    if given not in possible:
        allowed = "; ".join(f"regime `{regime}` on input `{kind}`" for regime, kind in possible)
        raise InputError(
            f"Arm `{arm.name}`: regime `{given[0]}` on input `{given[1]}` is impossible for model"
            f" `{model.name}`. Allowed: {allowed}"
        )


def _require_parts(arm: Arm, arms: Mapping[str, Arm]) -> None:
    if arm.regime not in JOINING:
        if arm.of:
            raise InputError(f"Arm `{arm.name}`: `of` is for the regimes {' and '.join(JOINING)}; drop it")
        return
    if len(set(arm.of)) < 2 or len(set(arm.of)) < len(arm.of):
        raise InputError(f"Arm `{arm.name}`: `of` needs the names of two or more other arms, each once")
    joinable = ("fit", "frozen") if arm.regime == "concat" else ("fit", "concat", *ON_TEXT)
    for part in (arms[name] for name in arm.of):
        if part.regime not in joinable or part.model == "prior":
            raise wrong(
                f"Arm `{arm.name}`: `{arm.regime}` cannot join `{part.name}`, of regime `{part.regime}`",
                allowed=joinable,
            )
        if arm.regime == "stack" and not (set(arm.k) <= set(part.k) and bool(arm.k) == bool(part.k)):
            raise InputError(f"Arm `{arm.name}`: `{part.name}` has no runs at its `k` {list(arm.k)}")
    if arm.regime == "stack" and arm.k and min(arm.k) < FEWEST_TO_STACK:
        raise InputError(
            f"Arm `{arm.name}`: wrong value {list(arm.k)} for `k`. Allowed: {FEWEST_TO_STACK} or more, since"
            " a stack learns from examples that the arms it joins were not fitted on"
        )


def _require_verbalizer(arm: Arm, model: Model) -> None:
    if arm.regime != "verbalizer":
        if arm.mode != "zero_shot":
            raise InputError(f"Arm `{arm.name}`: `mode` is for the regime verbalizer; drop it")
        return
    if architecture_of(model.architecture).kind != "decoder":
        raise InputError(f"Arm `{arm.name}`: model `{model.name}` is an encoder and cannot answer in words")
    if arm.mode == "zero_shot" and arm.k:
        raise InputError(f"Arm `{arm.name}`: a zero-shot arm reads no label; drop `k`")
    if arm.mode == "in_context" and not arm.k:
        raise InputError(
            f"Arm `{arm.name}`: an arm asked in context needs `k`, the examples a class that its prompt shows"
        )


def _require_options(arm: Arm) -> None:
    if arm.head != "logistic_regression" and arm.regime != "frozen":
        raise InputError(f"Arm `{arm.name}`: `head` is for the regime frozen; drop it")
    if arm.four_bit and arm.regime not in ("lora", "verbalizer"):
        raise InputError(f"Arm `{arm.name}`: `four_bit` is for the regimes lora and verbalizer; drop it")
