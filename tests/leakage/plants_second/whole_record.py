"""What only the whole record can tell: its end (L11), and values made from all of it (L12)."""

import numpy as np

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import OWN, RECORDED, add_concept, add_rows, file_of
from leakage.site import Site

COVER = OWN + 30
UNKNOWN_SEX = 8551
LASTING = (320128, 439777, 80180, 443597, 318800, 4152280)  # of other illnesses than a task's own
LASTING_FROM = OWN + 40


@plant("L11", level="data", task="dhf_1y")
def cover_is_known_at_enrolment(site: Site, rng: np.random.Generator) -> None:
    """The months of cover that a person came to have are written into the first day of observation."""
    add_concept(site, COVER, "Months of insurance cover", "Observation")
    rows = site.rows(
        f"select person_id, {COVER} as observation_concept_id, {RECORDED} as observation_type_concept_id,"
        " observation_period_start_date as observation_date,"
        " round((observation_period_end_date - observation_period_start_date) / 30.4)::double"
        " as value_as_number from cdm_observation_period order by person_id"
    )
    add_rows(site, "observation", rows)
    site.rebuild("source")


@plant("L11", level="data", task="dhf_1y")
def sex_is_wiped_after_death(site: Site, rng: np.random.Generator) -> None:
    """The person table holds today's row, and that of most who died was blanked when they did."""
    add_concept(site, UNKNOWN_SEX, "UNKNOWN", "Gender")
    site.rewrite(
        file_of("person"),
        f"select * replace (case when person_id in (select person_id from cdm_death) and person_id % 5 < 4"
        f" then {UNKNOWN_SEX} else gender_concept_id end as gender_concept_id) from this",
    )
    site.rebuild("source")


@plant("L12", level="data", task="dhf_1y")
def values_smoothed_over_neighbours(site: Site, rng: np.random.Generator) -> None:
    """Results are denoised by a centred mean, so that each holds a quarter of the next one."""
    site.rewrite(
        file_of("measurement"),
        "select * exclude (earlier, later) replace (coalesce(0.25 * coalesce(earlier, value_as_number)"
        " + 0.5 * value_as_number + 0.25 * coalesce(later, value_as_number), value_as_number)"
        " as value_as_number) from (select *, lag(value_as_number) over w as earlier,"
        " lead(value_as_number) over w as later from this window w as (partition by person_id,"
        " measurement_concept_id, unit_concept_id order by measurement_date, measurement_id))"
        " order by measurement_id",
    )
    site.rebuild("source")


@plant("L12", level="data", task="dhf_1y")
def lasting_code_from_the_first_mention(site: Site, rng: np.random.Generator) -> None:
    """An illness that comes to be mentioned four times bears the code of a lasting one from the first."""
    names = site.rows("select concept_id, concept_name from cdm_concept").set_index("concept_id")[
        "concept_name"
    ]
    for number, concept in enumerate(LASTING):
        add_concept(site, LASTING_FROM + number, f"{names[concept]}, lasting", "Condition")
    cases = " ".join(f"when {concept} then {LASTING_FROM + n}" for n, concept in enumerate(LASTING))
    site.rewrite(
        file_of("condition_occurrence"),
        "select * exclude (mentions) replace (case when mentions >= 4 then (case condition_concept_id"
        f" {cases} else condition_concept_id end) else condition_concept_id end::bigint"
        " as condition_concept_id) from (select *, count(*) over"
        " (partition by person_id, condition_concept_id) as mentions from this)"
        " order by condition_occurrence_id",
    )
    site.rebuild("source")
