"""The study: a protocol written before results exist, read from one TOML file."""

import dataclasses
import hashlib
import itertools
import json
import math
import re
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from ml.inputs.view import BUILT_IN_VIEWS, InputView, read_views
from ml.strict import InputError, read_fields, wrong

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")  # names become folders and Dagster asset keys


@dataclass(frozen=True)
class Simulate:
    """The simulated world to write as the source: how many persons, from which seed."""

    persons: int
    seed: int


@dataclass(frozen=True)
class Source:
    """Where the patients come from; with neither, SECOND_OPINION_SOURCE must say."""

    path: str | None = None
    simulate: Simulate | None = None


@dataclass(frozen=True)
class Arm:
    """One arm: a model of the registry, the regime that adapts it and the input view it is shown.

    `k`: shots a class of a learning curve, one set of runs each; empty: all labels.
    `of`: the arms whose representations (`concat`) or scores (`stack`) are joined.
    `head`: over frozen vectors. `mode`: of the regime `verbalizer`; in context it shows `k` examples a class.
    """

    name: str
    model: str
    regime: str
    input: str
    max_tokens: int | None = None
    k: tuple[int, ...] = ()
    of: tuple[str, ...] = ()
    head: Literal["logistic_regression", "mlp"] = "logistic_regression"
    mode: Literal["zero_shot", "in_context", "lora"] = "zero_shot"
    four_bit: bool = False


@dataclass(frozen=True)
class Comparison:
    """Challenger against reference on one task, with the margin fixed beforehand and its reason in words."""

    challenger: str
    reference: str
    task: str
    margin: float
    reason: str
    metric: Literal["auroc"] = "auroc"


@dataclass(frozen=True)
class SignedOff:
    """A check that may fail on a task without stopping it, with the reason, which the report prints first."""

    check: str
    task: str
    reason: str


@dataclass(frozen=True)
class Study:
    """A whole protocol; `sha256` names it in every result."""

    name: str
    question: str
    data: Literal["simulated", "synthetic", "real"]
    tasks: tuple[str, ...]
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...]
    source: Source
    inputs: tuple[InputView, ...] = ()
    signed_off: tuple[SignedOff, ...] = ()
    seed: int = 20261121
    seeds: int = 3
    draws: int = 5
    split_salt: str = "second-opinion"
    data_end: str = "auto"
    coding_lag_days: int = 0
    max_examples_per_task: int | None = None
    configurations: int = 6
    bootstrap_replicates: int = 2000
    alpha: float = 0.05

    @property
    def views(self) -> dict[str, InputView]:
        """Every input view by name: the study's own and the built-in ones."""
        return {**BUILT_IN_VIEWS, **{view.name: view for view in self.inputs}}

    @property
    def sha256(self) -> str:
        """Hash of the protocol's content (not of its comments or layout)."""
        content = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def read_study(
    path: Path,
    *,
    tasks: Collection[str],
    models: Collection[str],
    regimes: Collection[str],
    signable: Collection[str] = (),
) -> Study:
    """Read a study strictly against the names of tasks, models, regimes and checks to sign off that exist.

    Raises:
        InputError: no such file, no TOML, an unknown key or name, a missing or impossible value.
    """
    if not path.is_file():
        known = sorted(other.name for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        raise wrong(f"No study at `{path}`", allowed=known, given=path.name, hint="set SECOND_OPINION_STUDY")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"`{path.name}` is not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"`{path.name}` is not TOML: it is not UTF-8") from error
    study = _parse(given, path.name)
    _require_names(study, tasks=tasks, models=models, regimes=regimes)
    _require_signable(study, signable)
    _require_values(study)
    return study


def _parse(given: dict[str, Any], where: str) -> Study:
    tables = {
        "arms": tuple(
            read_fields(Arm, row, where=f"[[arm]] number {n} of {where}")
            for n, row in enumerate(_tables(given, "arm", where), start=1)
        ),
        "comparisons": tuple(
            read_fields(Comparison, row, where=f"[[comparison]] number {n} of {where}")
            for n, row in enumerate(_tables(given, "comparison", where), start=1)
        ),
        "signed_off": tuple(
            read_fields(SignedOff, row, where=f"[[signed_off]] number {n} of {where}")
            for n, row in enumerate(_tables(given, "signed_off", where), start=1)
        ),
    }
    views = read_views(_tables(given, "input", where), where=where)
    tables["inputs"] = tuple(view for name, view in views.items() if name not in BUILT_IN_VIEWS)
    source = given.pop("source", {})
    if isinstance(source, dict) and "simulate" in source:
        simulate = read_fields(Simulate, source["simulate"], where=f"[source] simulate of {where}")
        source = {**source, "simulate": simulate}
    tables["source"] = read_fields(Source, source, where=f"[source] of {where}")  # pyright: ignore[reportArgumentType]
    return read_fields(Study, {**given, **tables}, where=where)


def _tables(given: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    tables = given.pop(key, [])
    if not isinstance(tables, list):
        raise wrong(
            f"Wrong value for `{key}` in {where}: a list of tables is needed", hint=f"write [[{key}]]"
        )
    return tables


def _require_names(
    study: Study, *, tasks: Collection[str], models: Collection[str], regimes: Collection[str]
) -> None:
    arms = [arm.name for arm in study.arms]
    for name in (study.name, *arms):
        if not NAME.fullmatch(name):
            raise wrong(f"Wrong name {name!r}", hint="lower-case letters, digits and _, at most 63")
    _known("task", study.tasks, tasks, f"`tasks` of study `{study.name}`")
    for what, names in (("arm", arms), ("task", list(study.tasks))):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise InputError(f"{what.capitalize()} `{sorted(twice)[0]}` stands twice in study `{study.name}`")
    if not arms or not study.tasks:
        raise InputError(f"Study `{study.name}` needs at least one task and one [[arm]]")
    for arm in study.arms:
        _known("model", [arm.model], models, f"arm `{arm.name}`")
        _known("regime", [arm.regime], regimes, f"arm `{arm.name}`")
        _known("input", [arm.input], study.views, f"arm `{arm.name}`")
        _known("arm", arm.of, [name for name in arms if name != arm.name], f"`of` of arm `{arm.name}`")
    for row in study.comparisons:
        _known("arm", [row.challenger, row.reference], arms, "a [[comparison]]")
        _known("task", [row.task], study.tasks, "a [[comparison]]")


def _require_signable(study: Study, signable: Collection[str]) -> None:
    seen: set[tuple[str, str]] = set()
    for row in study.signed_off:
        where = "a [[signed_off]]: only these checks may be signed off, the others stop or warn"
        _known("check", [row.check], signable, where)
        _known("task", [row.task], study.tasks, "a [[signed_off]]")
        if not row.reason.strip():
            raise InputError(f"Wrong value {row.reason!r} for `reason` of [[signed_off]] `{row.check}`."
                             " Allowed: why a failure is no leak here, in words")  # fmt: skip
        if (row.check, row.task) in seen:
            raise InputError(f"Check `{row.check}` is signed off twice for task `{row.task}`")
        seen.add((row.check, row.task))


def _known(what: str, names: Iterable[str], allowed: Collection[str], where: str) -> None:
    for name in names:
        if name not in allowed:
            raise wrong(f"Unknown {what} `{name}` in {where}", allowed=allowed, given=name)


def _require_values(study: Study) -> None:
    def require(holds: bool, key: str, value: object, allowed: str) -> None:
        if not holds:
            raise InputError(f"Wrong value {value!r} for `{key}` of study `{study.name}`. Allowed: {allowed}")

    require(study.data_end in ("auto", "none") or _is_date(study.data_end), "data_end", study.data_end,
            "auto, none or a date as YYYY-MM-DD")  # fmt: skip
    require(study.coding_lag_days >= 0, "coding_lag_days", study.coding_lag_days, "0 or more")
    require(0 < study.alpha < 1, "alpha", study.alpha, "between 0 and 1")
    require(study.configurations >= 1, "configurations", study.configurations, "1 or more")
    require(study.bootstrap_replicates >= 100, "bootstrap_replicates", study.bootstrap_replicates,
            "100 or more")  # fmt: skip
    limit = study.max_examples_per_task
    require(limit is None or limit > 0, "max_examples_per_task", limit, "1 or more, or absent for all")
    require(1 <= study.seeds <= 20, "seeds", study.seeds, "1 to 20")
    require(1 <= study.draws <= 20, "draws", study.draws, "1 to 20")
    for arm in study.arms:
        is_text = study.views[arm.input].kind == "text"
        shown = arm.max_tokens is not None and arm.max_tokens >= 1
        require(shown or (arm.max_tokens is None and not is_text), "max_tokens", arm.max_tokens,
                f"1 or more where the input is text (arm `{arm.name}`)")  # fmt: skip
        rising = all(0 < low < high for low, high in itertools.pairwise((*arm.k, math.inf)))
        require(rising, "k", list(arm.k), f"whole numbers of 1 or more, rising (arm `{arm.name}`)")
    few_shot = {arm.name for arm in study.arms if arm.k}
    for row in study.comparisons:
        for side in ("challenger", "reference"):
            allowed = "an arm trained on all labels: arms with `k` are learning curves"
            require(getattr(row, side) not in few_shot, side, getattr(row, side), allowed)
        require(0 < row.margin < math.inf, "margin", row.margin, "above 0, and finite")
        require(row.challenger != row.reference, "challenger", row.challenger, "another arm than `reference`")
        require(bool(row.reason.strip()), "reason", row.reason, "why this margin, in words")
    if study.source.path and study.source.simulate:
        raise InputError(f"`path` and `simulate` exclude each other in [source] of study `{study.name}`")
    if study.source.simulate:
        require(study.data == "simulated", "data", study.data, "simulated, since [source] has `simulate`")
        require(study.source.simulate.persons >= 1, "persons", study.source.simulate.persons, "1 or more")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text  # it also takes 20200101 and 2020-W01-1
    except ValueError:
        return False
