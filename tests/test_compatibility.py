"""Which model, regime and input go together is refused before anything runs, with what is allowed."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from ml.compatibility import depends_on_seed, require_possible_arms, rests_on_smoke
from ml.models.registry import MODELS
from ml.strict import InputError
from ml.study import Arm, Source, Study
from orchestration import arms, evaluation
from orchestration.home import Home

COUNT = Arm("count_lr", "logistic_regression", "fit", "counts")
FEW = Arm("few_lr", "logistic_regression", "fit", "counts", k=(4, 8))
ONE = (
    Arm("one_lr", "logistic_regression", "fit", "counts", k=(1, 8)),
    Arm("one_gbm", "lightgbm", "fit", "counts", k=(1, 8)),
)
FROZEN = Arm("frozen", "minilm", "frozen", "text", 128)
ASKED = Arm("asked", "smoke_qwen3", "verbalizer", "text", 128)
GOOD = (
    Arm("chance", "prior", "fit", "none"),
    COUNT,
    FEW,
    *ONE,
    FROZEN,
    Arm("mlp", "minilm", "frozen", "text", 128, head="mlp"),
    Arm("lora", "minilm", "lora", "text", 512, k=(8,)),
    Arm("full", "minilm", "full", "text", 16),
    ASKED,
    Arm("shown", "smoke_llama", "verbalizer", "text", 128, k=(8, 16), mode="in_context"),
    Arm("tuned", "smoke_llama", "verbalizer", "text", 128, mode="lora", four_bit=True),
    Arm("joined", "logistic_regression", "concat", "none", of=("count_lr", "frozen")),
    Arm("stacked", "logistic_regression", "stack", "none", of=("count_lr", "joined")),
    Arm("few_stack", "logistic_regression", "stack", "none", of=("few_lr", "lora"), k=(8,)),
)


def study(*arms: Arm, **changes) -> Study:
    given = {"name": "s", "question": "?", "data": "simulated", "tasks": ("t",), "comparisons": (), **changes}
    return Study(arms=arms, source=Source(), **given)


def test_possible_arms_pass():
    require_possible_arms(study(*GOOD), MODELS)
    assert {arm.regime for arm in GOOD} == {"fit", "frozen", "lora", "full", "verbalizer", "concat", "stack"}


def changed(arm: Arm, **changes) -> Arm:
    return dataclasses.replace(arm, name="wrong", **changes)


WRONG = {
    "baseline on text": (changed(COUNT, input="text", max_tokens=128), ["`fit` on input `counts`"]),
    "encoder on counts": (changed(FROZEN, input="counts", max_tokens=None), ["`lora` on input `text`"]),
    "encoder on codes": (changed(FROZEN, input="sequence", max_tokens=None), ["`frozen` on input `text`"]),
    "prior on counts": (changed(COUNT, model="prior"), ["`fit` on input `none`"]),
    "boosting as a joining head": (
        changed(COUNT, model="lightgbm", regime="concat", input="none", of=("count_lr", "frozen")),
        ["impossible for model `lightgbm`"],
    ),
    "longer than the model reads": (changed(FROZEN, max_tokens=513), ["513", "16 to 512"]),
    "longer than a context": (changed(ASKED, max_tokens=9000), ["9000", "16 to 8192"]),
    "too short": (changed(FROZEN, max_tokens=15), ["15", "16 to 512"]),
    "context of counts": (changed(COUNT, max_tokens=64), ["`max_tokens`", "drop it"]),
    "parts without joining": (changed(COUNT, of=("few_lr", "frozen")), ["`of`", "concat and stack"]),
    "one part": (changed(COUNT, regime="concat", input="none", of=("frozen",)), ["two or more"]),
    "a part twice": (
        changed(COUNT, regime="concat", input="none", of=("frozen", "frozen")),
        ["each once"],
    ),
    "scores as a representation": (
        changed(COUNT, regime="concat", input="none", of=("asked", "frozen")),
        ["`asked`", "verbalizer", "frozen"],
    ),
    "stack of a stack": (
        changed(COUNT, regime="stack", input="none", of=("stacked", "frozen")),
        ["`stacked`", "stack"],
    ),
    "stack of chance": (
        changed(COUNT, regime="stack", input="none", of=("chance", "frozen")),
        ["`chance`"],
    ),
    "stack at a k that a part has not": (
        changed(COUNT, regime="stack", input="none", of=("few_lr", "lora"), k=(4,)),
        ["`lora`", "[4]"],
    ),
    "stack of all labels on few": (
        changed(COUNT, regime="stack", input="none", of=("count_lr", "few_lr")),
        ["`few_lr`"],
    ),
    "an encoder asked": (changed(FROZEN, regime="verbalizer"), ["`minilm`", "encoder"]),
    "zero-shot with labels": (changed(ASKED, k=(8,)), ["zero-shot", "drop `k`"]),
    "in context without a draw": (changed(ASKED, mode="in_context"), ["in context", "`k`"]),
    "stack of one a class": (
        changed(COUNT, regime="stack", input="none", of=("one_lr", "one_gbm"), k=(1, 8)),
        ["[1, 8]", "`k`", "2 or more"],
    ),
    "mode of a frozen model": (changed(FROZEN, mode="lora"), ["`mode`", "verbalizer"]),
    "head of a tuned model": (changed(FROZEN, regime="lora", head="mlp"), ["`head`", "frozen"]),
    "four bits in full": (changed(FROZEN, regime="full", four_bit=True), ["`four_bit`", "lora"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_impossible_arm_is_refused_with_what_is_allowed(case):
    arm, said = WRONG[case]
    with pytest.raises(InputError) as refused:
        require_possible_arms(study(*GOOD, arm), MODELS)
    for words in ("`wrong`", *said):
        assert words in str(refused.value)


def test_more_configurations_than_a_grid_holds_are_refused():
    with pytest.raises(InputError, match=r"7 for `configurations`.*1 to 6"):
        require_possible_arms(study(COUNT, configurations=7), MODELS)


def test_arms_without_chance_run_once():
    named = {arm.name: arm for arm in GOOD}
    once = {name for name, arm in named.items() if not depends_on_seed(arm, named)}
    assert once == {"chance", "count_lr", "few_lr", "one_lr", "frozen", "asked", "shown", "joined"}


NOISE = Arm("noise", "smoke_llama", "frozen", "text", 128)
SMOKE = {
    "noise": NOISE,
    "count_lr": COUNT,
    "frozen": FROZEN,
    "concat": Arm("concat", "logistic_regression", "concat", "none", of=("count_lr", "noise")),
    "stack": Arm("stack", "logistic_regression", "stack", "none", of=("count_lr", "noise")),
    "deep": Arm("deep", "logistic_regression", "stack", "none", of=("frozen", "concat")),
    "clean": Arm("clean", "logistic_regression", "stack", "none", of=("frozen", "count_lr")),
}


def test_random_weights_are_found_below_concat_and_stack_at_any_depth():
    found = {name for name, arm in SMOKE.items() if rests_on_smoke(arm, SMOKE, MODELS)}
    assert found == {"noise", "concat", "stack", "deep"}


def test_what_rests_on_random_weights_is_told_so_to_its_process_and_to_the_report(tmp_path):
    platform = SimpleNamespace(
        study=study(*SMOKE.values()), home=Home(tmp_path), models_folder=None, download=False
    )
    task, record = SimpleNamespace(task="t", question="?"), SimpleNamespace(metadata={})
    for name, arm in SMOKE.items():
        expected = name in {"noise", "concat", "stack", "deep"}
        assert arms._spec(platform, task, arm).rests_on_smoke is expected
        assert bool(evaluation._competitor(platform.study, arm, record)["qualifiers"]) is expected


def test_a_refused_arm_leaves_nothing_of_an_earlier_run_to_be_evaluated(tmp_path):
    platform = SimpleNamespace(study=study(COUNT), home=Home(tmp_path), models_folder=None, download=False)
    spec = arms._spec(platform, SimpleNamespace(task="t", question="?"), COUNT)
    Path(spec.fitted).mkdir(parents=True)
    for path in (Path(spec.predictions), Path(spec.fitted) / "fit.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of an earlier run", encoding="utf-8")
    refusal = {"guard": "loss_not_finite", "reason": "run 2 of 3 (seed 7): the loss at step 5 is nan"}
    for _ in range(2):  # with an earlier run, and without
        computed = arms._refused(platform, SimpleNamespace(task="t"), COUNT, refusal)
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert left == [platform.home.refusal("t", COUNT.name)]
        assert computed.refused == refusal
