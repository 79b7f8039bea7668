"""The sensitivity analysis of METHODS 1: baselines on counts, fitted again on what had happened by then."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ml.arm import run_arm
from ml.arm_spec import ArmSpec, ViewSpec
from ml.artefact import whole_file, whole_folder
from ml.evaluation.own_date import own_date_metrics
from ml.inputs.count import write_count_features
from ml.inputs.view import CountOptions
from ml.strict import read_fields


@dataclass(frozen=True)
class RefitArm:
    """An arm to fit again: a baseline of regime `fit` on counts, with where its predictions lie."""

    name: str
    model: str
    view: str
    options: Mapping[str, Any]
    predictions: str


def own_date_sensitivity(
    task: str,
    examples: Path,
    arms: tuple[RefitArm, ...],
    target: Path,
    metrics: Path,
    *,
    configurations: int,
    n_bootstrap: int,
    seed: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Refit arms on an own-date cut and write their metrics; return the results for the record.

    The same examples, labels, split, grid and seeds as the arms had; few-shot runs are not repeated.

    Args:
        task: for the rows of the metrics.
        examples: the own-date cut (`ml.inputs.own_date`).
        arms: what to fit again.
        target: folder of the refits: a predictions file and a fitted model an arm.
        metrics: Parquet file with the rows of the metrics table.
        configurations: tried, as by the arms.
        n_bootstrap: replicates.
        seed: of the bootstrap's draws.
        progress: told what happens.

    Raises:
        RefusalError: a guard stopped a refit.
    """
    available = {arm.name: pd.read_parquet(arm.predictions) for arm in arms}
    own: dict[str, pd.DataFrame] = {}
    with whole_folder(target) as folder, tempfile.TemporaryDirectory(dir=target.parent) as passing:
        for arm in arms:
            view = Path(passing) / arm.view
            if not view.exists():
                options = read_fields(CountOptions, arm.options, where=f"input `{arm.view}`")
                write_count_features(examples, view, options)
            progress(f"fitting {arm.name} again")
            whole = available[arm.name][available[arm.name]["k"].isna()]
            spec = ArmSpec(
                arm=arm.name,
                model=arm.model,
                regime="fit",
                views=(ViewSpec("counts", str(view)),),
                seeds=tuple(int(one) for one in sorted(whole["seed"].unique())),
                configurations=configurations,
                examples=str(examples),
                work=str(Path(passing) / "work" / arm.name),
                predictions=str(folder / f"{arm.name}.parquet"),
                fitted=str(folder / "fitted" / arm.name),
            )
            run_arm(spec, progress)
            own[arm.name] = pd.read_parquet(folder / f"{arm.name}.parquet")
    table = own_date_metrics(task, available, own, n_bootstrap=n_bootstrap, seed=seed)
    with whole_file(metrics) as temporary:
        table.to_parquet(temporary, index=False)
    shown = table[["arm", "metric", "value", "ci_low", "ci_high"]].round(3)
    return {"results": shown.astype(object).where(shown.notna(), None).to_dict("records")}
