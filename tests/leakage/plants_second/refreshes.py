"""What is left of the snapshot before, beside what was made of the new one (L39)."""

import shutil

import numpy as np

from leakage import pipeline
from leakage.plants.plant import plant
from leakage.plants_second.source_rows import OWN, add_concept, file_of
from leakage.site import Site

HBA1C, NEW_HBA1C = 3004410, OWN + 80


def _refresh_of_results(site: Site) -> None:
    """Refresh the source: results since 2014 come under a new code, and one in five is amended."""
    add_concept(site, NEW_HBA1C, "Hemoglobin A1c (IFCC aligned)", "Measurement")
    site.rewrite(
        file_of("measurement"),
        f"select * replace (case when measurement_concept_id = {HBA1C} and measurement_date >= '2014-01-01'"
        f" then {NEW_HBA1C} else measurement_concept_id end::bigint as measurement_concept_id,"
        " case when hash(measurement_id) % 5 = 0 then round(value_as_number * 1.06, 1)"
        " else value_as_number end as value_as_number) from this",
    )
    site.rebuild("source")


@plant("L39", level="data", task="dhf_1y")
def counts_from_the_cache(site: Site, rng: np.random.Generator) -> None:
    """After a refresh the counts are still those of the snapshot before: their key had not moved."""
    site.keep_snapshot()
    stale = pipeline.view(site.root, site.tasks[0], pipeline.COUNTS)
    kept = stale.with_name(".kept")
    shutil.copytree(stale, kept)
    _refresh_of_results(site)
    shutil.rmtree(stale)
    kept.rename(stale)
    site.rebuild("views")


@plant("L39", level="code", task="dhf_1y")
def split_of_the_snapshot_before(site: Site, rng: np.random.Generator) -> None:
    """A refresh came with a new split, and the cut of the task still has the one before."""
    site.keep_snapshot()
    before = site.rows("select person_id, split from split")
    site.mutate("split", "sha256('second-opinion|' || person_id)", "sha256('second-opinion-2|' || person_id)")
    site.rebuild("source")
    place = (site.examples(site.tasks[0]) / "example.parquet").relative_to(site.root)
    site.rewrite(
        str(place),
        "select this.* replace (before.split as split) from this inner join before using (person_id)"
        " order by example_id",
        before=before,
    )
    site.rebuild("examples")
