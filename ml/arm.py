"""One arm on one task: show, adapt, guard, recalibrate; write its predictions and fitted models, whole."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.adaptation import guards
from ml.adaptation.budgets import configurations
from ml.adaptation.hardware import device
from ml.adaptation.regimes import REGIMES
from ml.adaptation.shown import Adapted, Part, Setting, Shown
from ml.arm_spec import LIBRARIES, ArmSpec
from ml.arm_views import Run, View, read_view, run_examples, runs_of, show
from ml.artefact import manifest, read_json, sha256_file, sha256_json, whole_file, whole_folder, write_json
from ml.code_key import code_key
from ml.evaluation.calibration import fit_recalibration
from ml.evaluation.predictions import held_out_hash
from ml.inputs.examples import read_examples
from ml.models.loading import find_model, load_architecture
from ml.models.registry import MODELS
from ml.refusal import RefusalError
from ml.schema import check

Progress = Callable[[str], None]
FIT_LOG = "fit_log.parquet"
RECALIBRATION = ("recalibration_intercept", "recalibration_slope")


def run_arm(spec: ArmSpec, progress: Progress) -> dict[str, Any]:
    """Carry out every run of an arm; return what the record says of it.

    A killed process leaves finished runs and checkpoints in `spec.work`; the next one goes on from there.

    Raises:
        RefusalError: a guard stopped the arm; its name and reason are the result. One run is enough, and of
            several the reason names it: a diverged seed left out would flatter the arm (METHODS 14).
    """
    model = MODELS[spec.model]
    smoke_only = spec.rests_on_smoke or model.smoke_only
    guards.require_comparable(smoke_only=smoke_only, is_compared=spec.is_compared, arm=spec.arm)
    refusals = {part.arm: Path(part.predictions).with_suffix(".refused.json") for part in spec.parts}
    guards.require_parts([arm for arm, refusal in refusals.items() if refusal.exists()])
    example = read_examples(Path(spec.examples))
    labelled = example[example["y_true"].notna()].sort_values("example_id", ignore_index=True)
    guards.require_one_split(example["person_id"].to_numpy(), example["split"].to_numpy())
    guards.require_two_classes(labelled["y_true"].to_numpy(), labelled["split"].to_numpy())
    persons = dict(iter(labelled.groupby("split")["person_id"]))
    work = _open_work(spec, labelled)
    view = read_view(spec.views, labelled["example_id"])
    chosen: dict[tuple[int | None, int | None], dict[str, Any]] = {}
    facts: list[dict[str, Any]] = []
    runs = runs_of(spec)
    for number, run in enumerate(runs, start=1):
        if not (work / run.name / "facts.json").exists():
            known = chosen.get((run.k, run.draw))
            tell = progress if len(runs) == 1 else _prefixed(progress, f"run {number} of {len(runs)}: ")
            try:
                _carry_out(spec, run, labelled, view, work / run.name, known, tell)
            except RefusalError as error:
                raise _named(error, run, number, len(runs)) from error
        facts.append(read_json(work / run.name / "facts.json"))
        chosen.setdefault((run.k, run.draw), facts[-1]["configuration"])
    predictions = pd.concat([pd.read_parquet(work / run.name / "predictions.parquet") for run in runs])
    predictions = predictions.astype({"k": "Int64", "draw": "Int64"})
    _write_fitted(spec, work, runs, facts, persons)
    with whole_file(Path(spec.predictions)) as temporary:
        check(predictions, "predictions").to_parquet(temporary, index=False)
    shutil.rmtree(work)
    return _summary(spec, view, labelled, facts)


def _named(error: RefusalError, run: Run, number: int, n_runs: int) -> RefusalError:
    """Say in which run a guard stopped the arm."""
    if n_runs == 1:
        return error
    which = ", ".join(f"{name} {value}" for name, value in run.key.items() if value is not None)
    return RefusalError(error.guard, f"run {number} of {n_runs} ({which}): {error.reason}")


def _carry_out(
    spec: ArmSpec,
    run: Run,
    labelled: pd.DataFrame,
    view: View,
    folder: Path,
    known: dict[str, Any] | None,
    progress: Progress,
) -> None:
    """Make one run, guard it, and leave its predictions, model and facts in `folder`."""
    examples = run_examples(labelled, spec, run)
    shown = show(view, examples, run)
    may = {"fit": shown.may_fit.copy(), "select": shown.may_select.copy()}
    setting = _setting(spec, run, folder, known, progress)
    shown.parts = tuple(_part(part, run, labelled, examples, folder) for part in spec.parts)
    adapted = REGIMES[spec.regime](shown, setting)
    _guard(spec, shown, examples, labelled, adapted)
    predictions, recalibrated = _predictions(run, examples, shown, adapted.y_score_raw)
    guards.require_fitted_inside(shown.used, {**may, "recalibrate": may["select"]})
    with whole_file(folder / FIT_LOG) as temporary:
        _fit_log(run, shown).to_parquet(temporary, index=False)
    with whole_file(folder / "predictions.parquet") as temporary:
        predictions.to_parquet(temporary, index=False)
    facts = {
        **run.key,
        "configuration": adapted.configuration,
        "trials": adapted.trials,
        "converged": adapted.converged,
        "curve": adapted.curve,
        "used": dict(adapted.used),
        **recalibrated,
    }
    write_json(folder / "facts.json", facts)
    shutil.rmtree(folder / "work", ignore_errors=True)  # nobody goes on from it any more


def _guard(
    spec: ArmSpec, shown: Shown, examples: pd.DataFrame, labelled: pd.DataFrame, adapted: Adapted
) -> None:
    """Judge what a regime gave back, before anything of it is written."""
    scores = adapted.y_score_raw
    guards.require_scores(scores, n_expected=len(examples))
    expected = labelled[labelled["split"] == "held_out"]
    scored = examples[examples["split"] == "held_out"]
    guards.require_held_out(
        held_out_hash(scored), held_out_hash(expected), n_scored=len(scored), n_expected=len(expected)
    )
    if shown.used.get("select") is not None:  # trained and chosen, not asked as it is
        y_true = examples["y_true"].to_numpy(dtype=np.float64)
        for split, rows in (("train", shown.fit_rows), ("tuning", shown.tuning_rows)):
            guards.require_order(y_true[rows], scores[rows], split=split)
    n_checked = min(adapted.reloaded_rows or len(scores), len(scores))
    rows = np.unique(np.linspace(0, len(scores) - 1, n_checked).astype(int))
    guards.require_equal_scores(scores[rows], adapted.reload(rows), tolerance=adapted.tolerance)


def _predictions(
    run: Run, examples: pd.DataFrame, shown: Shown, scores: np.ndarray
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the rows of a run and its recalibration.

    Few-shot runs are read for discrimination only (METHODS 12), and a slope fitted on a few examples could
    turn their order: their score stays raw.
    """
    y_score, facts = scores, {}
    if run.k is None:
        tuning = shown.tuning_rows
        recalibration = fit_recalibration(shown.labels(tuning, "recalibrate"), scores[tuning])
        y_score = recalibration.apply(scores)
        values = (recalibration.intercept, recalibration.slope)
        facts = {name: round(float(value), 6) for name, value in zip(RECALIBRATION, values, strict=True)}
    rows = pd.DataFrame(
        {
            **{name: examples[name] for name in ("example_id", "person_id", "split")},
            "y_true": examples["y_true"].astype("int64"),
            "y_score": y_score,
            "y_score_raw": scores,
            "seed": np.int64(run.seed),
            "k": pd.array([run.k] * len(examples), dtype="Int64"),
            "draw": pd.array([run.draw] * len(examples), dtype="Int64"),
        }
    )
    return rows, facts


def _fit_log(run: Run, shown: Shown) -> pd.DataFrame:
    """Return who was read to fit, to choose and to recalibrate, one row a purpose and person."""
    logs = [
        pd.DataFrame({"purpose": purpose, "person_id": np.unique(shown.person_id[rows])})
        for purpose, rows in sorted(shown.used.items())
    ]
    empty = pd.DataFrame({"purpose": pd.Series(dtype="str"), "person_id": pd.Series(dtype="int64")})
    return pd.concat(logs or [empty], ignore_index=True).assign(run=run.name)


def _setting(
    spec: ArmSpec, run: Run, folder: Path, known: dict[str, Any] | None, progress: Progress
) -> Setting:
    model = MODELS[spec.model]
    weights = None
    if spec.is_text_trained:
        models = None if spec.models_folder is None else Path(spec.models_folder)
        weights = find_model(model, models, download=spec.download)
    tried = (known,) if known is not None else configurations(_family(spec, weights), spec.configurations)
    return Setting(
        model=model,
        folder=weights,
        configurations=tried,
        seed=run.seed,
        target=folder / "model",
        work=folder / "work",
        key=run.name,
        progress=progress,
        head=spec.head,
        mode=spec.mode,
        four_bit=spec.four_bit,
        question=spec.question,
    )


def _family(spec: ArmSpec, weights: Path | None) -> str:
    """Name the grid of an arm."""
    if spec.regime == "fit":
        return spec.model
    if spec.regime == "frozen":
        return f"frozen_{spec.head}"
    if spec.regime == "verbalizer":
        return "verbalizer" if spec.mode == "lora" else "untrained"
    if weights is not None:
        return f"{spec.regime}_{load_architecture(weights).kind}"
    return spec.regime


def _part(part: ArmSpec, run: Run, labelled: pd.DataFrame, examples: pd.DataFrame, folder: Path) -> Part:
    """Return an arm that this run joins: its own run of the same draw, and of the same seed if it has it."""
    mine = dataclasses.replace(run, seed=run.seed if run.seed in part.seeds else part.seeds[0])
    table = pd.read_parquet(part.predictions)
    for column, value in mine.key.items():
        table = table[table[column].isna() if value is None else table[column] == value]
    scores = table.set_index("example_id")["y_score_raw"].reindex(examples["example_id"])
    runs = read_json(Path(part.fitted) / "fit.json")["runs"]
    known = next(one for one in runs if all(one[n] == v for n, v in mine.key.items()))
    return Part(
        name=part.arm,
        adapt=REGIMES[part.regime],
        setting=_setting(part, mine, folder / part.arm, known["configuration"], print_nothing),
        shown=show(read_view(part.views, labelled["example_id"]), examples, mine),
        y_score_raw=scores.to_numpy(dtype=np.float64),
        converged=known["converged"],
    )


def print_nothing(_: str) -> None:
    """Take a line of progress and keep silent: the stack tells its own."""


def _open_work(spec: ArmSpec, labelled: pd.DataFrame) -> Path:
    """Return the folder of unfinished work, emptied if anything that shapes it changed since it was left."""
    work = Path(spec.work)
    paths = [view.path for one in (spec, *spec.parts) for view in one.views]
    paths += [path for one in spec.parts for path in (one.predictions, one.fitted)]
    paths += [spec.draws] if spec.draws else []
    key = sha256_json(
        {
            "spec": spec.content,
            "model": dataclasses.asdict(MODELS[spec.model]),
            "examples": {str(split): held_out_hash(rows) for split, rows in labelled.groupby("split")},
            "inputs": [_hashed(Path(path)) for path in paths],
            "code": code_key("ml.arm"),
            "libraries": {name: version(name) for name in LIBRARIES},
            "device": device().type,
        }
    )
    stored = work / "key.json"
    if not stored.exists() or read_json(stored) != key:
        shutil.rmtree(work, ignore_errors=True)
        write_json(stored, key)
    return work


def _hashed(path: Path) -> dict[str, str] | str:
    return manifest(path) if path.is_dir() else sha256_file(path)


def _write_fitted(
    spec: ArmSpec, work: Path, runs: list[Run], facts: list[dict[str, Any]], persons: dict[Any, pd.Series]
) -> None:
    """Keep the models of the first seed and draw, and the record of every fit."""
    with whole_folder(Path(spec.fitted)) as folder:
        kept = [run for run in runs if run.seed == runs[0].seed and not run.draw]
        for run in kept:
            target = folder if len(runs) == 1 else folder / run.name
            shutil.copytree(work / run.name / "model", target, dirs_exist_ok=True)
        fit = {
            "fitted_on": "train",
            "selected_on": "tuning",
            "persons": {str(split): int(rows.nunique()) for split, rows in persons.items()},
            "kept": [run.name for run in kept],
            "log": FIT_LOG,
            "views": [{"kind": view.kind, "name": Path(view.path).name} for view in spec.views],
            "runs": [{k: v for k, v in one.items() if k != "used"} for one in facts],
        }
        log = pd.concat([pd.read_parquet(work / run.name / FIT_LOG) for run in runs], ignore_index=True)
        log.to_parquet(folder / FIT_LOG, index=False)
        (folder / "fit.json").write_text(json.dumps(fit, indent=1, sort_keys=True), encoding="utf-8")


def _summary(
    spec: ArmSpec, view: View, labelled: pd.DataFrame, facts: list[dict[str, Any]]
) -> dict[str, Any]:
    first = facts[0]
    used = {name: sum(one["used"].get(name, 0) for one in facts) for name in first["used"]}
    return {
        "examples": len(labelled),
        **({} if view.width is None else {"features": view.width}),
        "runs": len(facts),
        "configuration": first["configuration"],
        "trials": first["trials"],
        "converged": all(one["converged"] for one in facts),
        "held_out_sha256": held_out_hash(labelled[labelled["split"] == "held_out"]),
        **{name: first[name] for name in RECALIBRATION if name in first},
        **({"skipped_k": [k for k in spec.k if k not in {one["k"] for one in facts}]} if spec.k else {}),
        **used,
    }


def _prefixed(progress: Progress, prefix: str) -> Progress:
    return lambda line: progress(prefix + line)
