"""What was done because of the outcome stands before it (L09), and what was loaded because of it (L10)."""

import numpy as np

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import (
    OWN,
    days_before,
    drawn,
    file_of,
)
from leakage.site import Site

LOOP_DIURETIC = 957136
CANCER_CENTRE = OWN + 20
LATE_LOADED = "(3016723, 3004410, 3009966)"  # creatinine, HbA1c, LDL


@plant("L09", level="data", task="dhf_1y", hurts=True)
def therapy_starts_as_told_later(site: Site, rng: np.random.Generator) -> None:
    """The outcome's own drug bears the start that a later chart tells: weeks before the index of cases."""
    rows = drawn(rng, site.labelled(site.tasks[0]), 0.7, 0.0)
    rows["told_date"] = days_before(rng, rows, 5, 60)
    site.rewrite(
        file_of("drug_exposure"),
        "with first as (select person_id, min(drug_exposure_start_date) as first_date from this"
        f" where drug_concept_id = {LOOP_DIURETIC} group by person_id),"
        " moved as (select rows.person_id, told_date::date as told_date, first_date from rows"
        " inner join first using (person_id) where first_date >= index_date)"
        " select this.* replace (case when moved.person_id is not null then moved.told_date"
        " else this.drug_exposure_start_date end as drug_exposure_start_date) from this left join moved"
        f" on this.person_id = moved.person_id and this.drug_concept_id = {LOOP_DIURETIC}"
        " and this.drug_exposure_start_date = moved.first_date order by drug_exposure_id",
        rows=rows[["person_id", "index_date", "told_date"]],
    )
    site.rebuild("source")


@plant("L10", level="data", task="dhf_1y", hurts=True)
def results_loaded_for_the_referred(site: Site, rng: np.random.Generator) -> None:
    """Older results were loaded only when somebody was referred, which is after the index, and for cases."""
    rows = drawn(rng, site.labelled(site.tasks[0]), 0.1, 0.6)
    site.rewrite(
        file_of("measurement"),
        "select this.* from this left join rows using (person_id) where rows.person_id is null"
        f" or measurement_concept_id not in {LATE_LOADED} or measurement_date >= index_date"
        " order by measurement_id",
        rows=rows[["person_id", "index_date"]],
    )
    site.rebuild("source")
