"""L39: parts of two snapshots in one result."""

import shutil

import numpy as np

from leakage.plants.plant import plant
from leakage.plants.recorded import before, cases, conditions, some
from leakage.site import Site


def _refresh(site: Site, task: str, outcome: int, rng: np.random.Generator) -> None:
    """Let the source be refreshed: one case in five loses its outcome, one other in twenty gets one."""
    lost = some(cases(site, task), 0.2, rng)
    site.rewrite(
        "simulated/cdm/condition_occurrence.parquet",
        f"select * from this where not (condition_concept_id in ({outcome}, 4229440) and person_id in (select"
        " person_id from lost))",
        lost=lost[["person_id"]],
    )
    new = some(cases(site, task, 0), 0.05, rng)
    conditions(site, new, before(new, -200, -30, rng), outcome)


@plant("L39", level="data", task="dhf_1y")
def examples_of_the_snapshot_before(site: Site, rng: np.random.Generator) -> None:
    """The source was refreshed and published; the task's cut, views and scores are those of the snapshot
    before.
    """
    kept = site.keep_snapshot()
    for name in ("tasks", "predictions", "fitted"):
        shutil.copytree(site.root / name, kept / name)
    _refresh(site, "dhf_1y", 316139, rng)
    site.rebuild("source")
    for name in ("tasks", "predictions", "fitted"):
        shutil.rmtree(site.root / name)
        shutil.move(kept / name, site.root / name)


@plant("L39", level="data", task="gi_bleed_1y")
def labels_of_the_snapshot_before(site: Site, rng: np.random.Generator) -> None:
    """After a refresh the published labels are those of the snapshot before, all else is new."""
    kept = site.keep_snapshot()
    _refresh(site, "gi_bleed_1y", 192671, rng)
    site.rebuild("source")
    old = kept / "label.parquet"
    site.rewrite(
        "published/label.parquet",
        f"select old.* from '{old}' as old semi join cohort using (task, example_id) union all"
        f" select * from this"
        f" anti join '{old}' using (task, example_id) order by task, person_id, index_date, example_id",
    )
    site.rebuild("published")


@plant("L39", level="data", task="paca_1y")
def predictions_of_the_snapshot_before(site: Site, rng: np.random.Generator) -> None:
    """After a refresh one arm's predictions are those of the snapshot before, with the labels of then."""
    kept = site.keep_snapshot()
    shutil.copytree(site.root / "predictions", kept / "predictions")
    _refresh(site, "paca_1y", 4180793, rng)
    site.rebuild("source")
    shutil.copyfile(
        kept / "predictions" / "paca_1y" / "count_gbm.parquet", site.predictions("paca_1y", "count_gbm")
    )
    shutil.rmtree(kept / "predictions")
