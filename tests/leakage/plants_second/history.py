"""What an input tells of the outcome before its time: prevalent cases (L07), relatives of its code (L08)."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import (
    OWN,
    RECORDED,
    add_concept,
    add_rows,
    days_before,
    drawn,
    drop_rows,
    file_of,
)
from leakage.site import Site

CHRONIC_HEART_FAILURE, HEART_FAILURE = 4229440, 316139
BLEED, LEGACY_BLEED = 192671, OWN + 10
REASON, SUSPECTED = OWN + 11, OWN + 12
NEUTRAL_REASONS = (80180, 81151, 372328, 378253)  # osteoarthritis, sprain of ankle, otitis media, headache


@plant("L07", level="data", task="dhf_1y")
def refresh_moves_a_code_to_observations(site: Site, rng: np.random.Generator) -> None:
    """A vocabulary refresh gave one code of the outcome another domain: its rows left the conditions."""
    moved = site.rows(
        "select person_id, condition_concept_id as observation_concept_id,"
        f" condition_start_date as observation_date, {RECORDED} as observation_type_concept_id,"
        " visit_occurrence_id from cdm_condition_occurrence"
        f" where condition_concept_id = {CHRONIC_HEART_FAILURE} order by condition_occurrence_id"
    )
    drop_rows(site, "condition_occurrence", f"condition_concept_id = {CHRONIC_HEART_FAILURE}")
    add_rows(site, "observation", moved)
    site.rewrite(
        file_of("concept"),
        f"select * replace (case when concept_id = {CHRONIC_HEART_FAILURE} then 'Observation'"
        " else domain_id end as domain_id) from this",
    )
    site.rebuild("source")


@plant("L07", level="data", task="gi_bleed_1y")
def legacy_code_is_not_mapped(site: Site, rng: np.random.Generator) -> None:
    """What a clinic imported of a person's first two years has the outcome under a code nobody mapped."""
    add_concept(site, LEGACY_BLEED, "GI haemorrhage NOS (legacy system)", "Condition")
    site.rewrite(
        file_of("condition_occurrence"),
        "with started as (select person_id, min(observation_period_start_date) as first_day"
        " from cdm_observation_period group by person_id),"
        " flagged as (select this.*, condition_start_date < first_day + 730"
        f" and condition_concept_id = {BLEED} as is_legacy from this left join started using (person_id))"
        " select * exclude (is_legacy) replace (case when is_legacy then 0 else condition_concept_id"
        f" end::bigint as condition_concept_id, case when is_legacy then {LEGACY_BLEED}"
        " else condition_source_concept_id end::bigint as condition_source_concept_id)"
        " from flagged order by condition_occurrence_id",
    )
    site.rebuild("source")


@plant("L08", level="data", task="dhf_1y")
def outcome_is_the_answer_of_a_form(site: Site, rng: np.random.Generator) -> None:
    """A referral form before the index has the outcome as its answer for half of the cases."""
    add_concept(site, REASON, "Reason for referral", "Observation")
    told = drawn(rng, site.labelled(site.tasks[0]), 0.5, 0.04)
    asked = drawn(rng, site.labelled(site.tasks[0]), 0.3, 0.4)
    asked = asked[~asked["person_id"].isin(told["person_id"])].reset_index(drop=True)
    answers = [
        pd.Series(HEART_FAILURE, index=told.index),
        pd.Series(rng.choice(NEUTRAL_REASONS, len(asked)), index=asked.index),
    ]
    forms = [
        pd.DataFrame(
            {
                "person_id": rows["person_id"],
                "observation_concept_id": REASON,
                "observation_date": days_before(rng, rows, 5, 60),
                "observation_type_concept_id": RECORDED,
                "value_as_concept_id": answer,
            }
        )
        for rows, answer in zip((told, asked), answers, strict=True)
    ]
    add_rows(site, "observation", pd.concat(forms, ignore_index=True))
    site.rebuild("source")


@plant("L08", level="data", task="paca_1y", hurts=True)
def suspected_outcome_is_coded(site: Site, rng: np.random.Generator) -> None:
    """A code for suspicion of the outcome, charted weeks before the index, stands in four of ten cases."""
    add_concept(site, SUSPECTED, "Suspected malignant tumor of pancreas", "Condition")
    rows = drawn(rng, site.labelled(site.tasks[0]), 0.4, 0.03)
    charted = pd.DataFrame(
        {
            "person_id": rows["person_id"],
            "condition_concept_id": SUSPECTED,
            "condition_start_date": days_before(rng, rows, 3, 40),
            "condition_type_concept_id": RECORDED,
        }
    )
    add_rows(site, "condition_occurrence", charted)
    site.rebuild("source")
