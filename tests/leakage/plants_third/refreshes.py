"""Two states of the data in one result: what was made before a refresh beside what was made after it."""

import numpy as np

from leakage import pipeline
from leakage.plants.plant import plant
from leakage.plants_second.source_rows import days_before, drawn
from leakage.plants_third.local_rows import DYSPNEA, write
from leakage.site import Site


def _late_outcomes(site: Site, task: str, concept: int, rng: np.random.Generator) -> None:
    """Add outcomes that were coded late, within the time at risk of some who had none, and old symptoms."""
    rows = drawn(rng, site.labelled(task), 0.0, 0.06)
    write(site, "condition_occurrence", rows, rows["tar_end_date"], concept)
    late = drawn(rng, site.labelled(task), 0.3, 0.3)
    write(site, "condition_occurrence", late, days_before(rng, late, 5, 200), DYSPNEA)


@plant("L39", level="data", task="dhf_1y")
def old_views_under_new_labels(site: Site, rng: np.random.Generator) -> None:
    """The refresh made the labels anew, but the features were taken from the store as they were before it."""
    site.keep_snapshot()
    _late_outcomes(site, "dhf_1y", 316139, rng)
    pipeline.publish(site.source, site.root, seeds=site.seeds, sql=site.sql)
    pipeline.cut(site.root, "dhf_1y", seed=site.seed)
    site.rebuild("views")


@plant("L39", level="data", task="gi_bleed_1y")
def old_scores_beside_new_labels(site: Site, rng: np.random.Generator) -> None:
    """The refresh made labels and features anew, and the report still shows the scores of the arms that were
    fitted before it.
    """
    site.keep_snapshot()
    _late_outcomes(site, "gi_bleed_1y", 192671, rng)
    pipeline.publish(site.source, site.root, seeds=site.seeds, sql=site.sql)
    pipeline.cut(site.root, "gi_bleed_1y", seed=site.seed)
    pipeline.show(site.root, "gi_bleed_1y")
