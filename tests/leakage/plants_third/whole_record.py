"""What was computed from the whole record, or from its end, and stands beside what was known at the index."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.count_columns import add_column
from leakage.plants_second.source_rows import days_before, drawn
from leakage.plants_third.local_rows import NT_PRO_BNP, write, write_local
from leakage.site import Site

COMPONENTS = 6
# Chains of supplies of one drug, with at most so many days between them: what the CDM calls an era.
OPEN_ERAS = """
with own as (
    select person_id, drug_concept_id, drug_exposure_start_date as start_date,
        drug_exposure_end_date as end_date
    from cdm_drug_exposure
),
ordered as (
    select *, max(end_date) over (
        partition by person_id, drug_concept_id order by start_date, end_date
        rows between unbounded preceding and 1 preceding
    ) as end_before
    from own
),
numbered as (
    select *, count(*) filter (where end_before is null or start_date > end_before + 30) over (
        partition by person_id, drug_concept_id order by start_date, end_date
        rows between unbounded preceding and current row
    ) as era
    from ordered
),
era as (
    select person_id, drug_concept_id, era, min(start_date) as start_date, max(end_date) as end_date
    from numbered
    group by person_id, drug_concept_id, era
)
select label.example_id, max(era.end_date - label.index_date) as days
from label
inner join era
    on label.person_id = era.person_id and label.index_date between era.start_date and era.end_date
where label.task = 'paca_1y'
group by label.example_id
order by label.example_id
"""


@plant("L06", level="data", task="paca_1y")
def end_of_open_drug_eras(site: Site, _: np.random.Generator) -> None:
    """The days from the index to the end of the longest drug era that is open are a feature, and an era ends
    where its last refill does, which for many is the year of their death.
    """
    eras = site.rows(OPEN_ERAS)
    days = dict(zip(eras["example_id"], eras["days"].astype(float), strict=True))
    add_column(site, "paca_1y", "open_drug_era_days", days)
    site.rebuild("views")


@plant("L11", level="data", task="paca_1y", hurts=True)
def vital_status_of_the_master_data(site: Site, _: np.random.Generator) -> None:
    """The patient master holds the vital status of the day of the extract, and the load writes it as an
    observation of the first contact.
    """
    rows = site.rows(
        "select person_id, observation_period_start_date as day from cdm_observation_period inner join"
        " cdm_death using (person_id) order by person_id"
    )
    write_local(site, "observation", rows, rows["day"], "Master data: status E")
    site.rebuild("source")


@plant("L11", level="data", task="dhf_1y")
def months_of_membership(site: Site, _: np.random.Generator) -> None:
    """The insurer's file gives the months of membership of each person, counted to the day on which the
    membership ended, and they are a feature.
    """
    rows = site.rows(
        "select example_id, round((observation_period_end_date - observation_period_start_date) / 30.4) as"
        " months from cohort where task = 'dhf_1y' order by example_id"
    )
    add_column(site, "dhf_1y", "member_months", dict(zip(rows["example_id"], rows["months"], strict=True)))
    site.rebuild("views")


@plant("L12", level="data", task="dhf_1y", hurts=True)
def comorbidity_index_of_the_whole_chart(site: Site, rng: np.random.Generator) -> None:
    """The warehouse computes a comorbidity index from the whole chart, the outcome's organ among others, and
    stores it with every visit, those before the index too.
    """
    rows = site.labelled("dhf_1y")
    later = site.rows(
        "select label.example_id, count(distinct condition_concept_id) filter (where condition_start_date"
        " > index_date and condition_concept_id in (316139, 4229440, 4329847, 313217, 381316, 443597,"
        " 443612, 261325, 439777)) as n from label inner join cdm_condition_occurrence using (person_id)"
        " where task = 'dhf_1y' group by label.example_id order by label.example_id"
    ).set_index("example_id")["n"]
    found = rows["example_id"].map(later).fillna(0).to_numpy()
    score = found + rng.integers(0, 2, len(rows))
    day = days_before(rng, rows, 1, 90)
    write_local(site, "observation", rows, day, "Comorbidity index", value_as_number=score.astype(float))
    site.rebuild("source")


@plant("L12", level="data", task="dhf_1y", hurts=True)
def panel_filled_backwards(site: Site, rng: np.random.Generator) -> None:
    """Laboratory values are laid on a monthly grid and gaps are filled from the next value, so the peptide
    that is taken when the heart fails stands before the index.
    """
    rows = site.rows(
        "select label.person_id, label.index_date, arg_min(value_as_number, (measurement_date,"
        " measurement_id)) as value from label inner join cdm_measurement as measured using (person_id)"
        f" where task = 'dhf_1y' and y_true is not null and measurement_concept_id = {NT_PRO_BNP} and"
        " measurement_date between index_date and index_date + 540 and value_as_number is not null"
        " group by label.person_id, label.index_date order by label.person_id"
    )
    values = {"value_as_number": rows["value"].to_numpy(), "unit_concept_id": 8845}
    write(site, "measurement", rows, days_before(rng, rows, 1, 30), NT_PRO_BNP, **values)
    site.rebuild("source")


@plant("L29", level="data", task="dhf_1y", hurts=True)
def patient_vectors_of_whole_records(site: Site, _: np.random.Generator) -> None:
    """Vectors of persons were pretrained on the whole records of everybody, held-out persons and days after
    the index among them, and are joined to the counts by person.
    """
    rows = site.rows(
        "select cohort.example_id, event.concept_id, count(distinct event.event_date) as n from cohort inner"
        " join clinical_event as event using (person_id) where cohort.task = 'dhf_1y' and event.concept_id"
        " <> 0 group by cohort.example_id, event.concept_id order by cohort.example_id, event.concept_id"
    )
    table = rows.pivot_table(index="example_id", columns="concept_id", values="n", fill_value=0)
    matrix = np.log1p(table.to_numpy(dtype=float))
    u, s, _vt = np.linalg.svd(matrix - matrix.mean(axis=0), full_matrices=False)
    vectors = u[:, :COMPONENTS] * s[:COMPONENTS]
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(COMPONENTS)])
    shown = set(pd.read_parquet(site.examples("dhf_1y") / "example.parquet")["example_id"])
    for number in range(COMPONENTS):
        values = dict(zip(table.index, np.round(vectors[:, number], 4), strict=True))
        own = {name: value for name, value in values.items() if name in shown}
        add_column(site, "dhf_1y", f"patient_vector/{number}", own)
    site.rebuild("views")


@plant("L30", level="data", task="gi_bleed_1y", hurts=True)
def language_model_had_read_the_cohort(site: Site, rng: np.random.Generator) -> None:
    """A language model's answer is a feature, and the model had read the public version of this cohort with
    its outcomes: for a good third of the persons it recalls instead of judging.
    """
    rows = drawn(rng, site.labelled("gi_bleed_1y"), 1.0, 1.0)
    judged = rng.beta(2, 5, len(rows))
    recalled = np.clip(rows["y_true"].to_numpy(float) * 0.9 + rng.normal(0.03, 0.02, len(rows)), 0.01, 0.99)
    answer = np.round(np.where(rng.random(len(rows)) < 0.4, recalled, judged), 3)
    shown = set(pd.read_parquet(site.examples("gi_bleed_1y") / "example.parquet")["example_id"])
    values = {name: value for name, value in zip(rows["example_id"], answer, strict=True) if name in shown}
    add_column(site, "gi_bleed_1y", "model_answer/yes", values)
    site.rebuild("views")
