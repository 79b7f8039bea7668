"""How long persons are followed, how they leave, and what the end of the extract does to their outcomes."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import drop_rows, file_of, replace_columns
from leakage.plants_third.local_rows import LAST_DAY, write
from leakage.site import Site


@plant("L17", level="data", task="dhf_1y")
def periods_run_to_the_extract(site: Site, _: np.random.Generator) -> None:
    """The load gives every living person an observation period up to the day of the extract, so whoever
    moved away counts as followed and free of the outcome.
    """
    replace_columns(
        site,
        "observation_period",
        "case when person_id in (select person_id from cdm_death) then observation_period_end_date"
        f" else date '{LAST_DAY}' end as observation_period_end_date",
    )
    site.rebuild("source")


@plant("L17", level="data", task="gi_bleed_1y")
def periods_end_at_the_last_visit(site: Site, _: np.random.Generator) -> None:
    """The load ends each observation period at the last visit, so healthy persons who do not come back
    count as lost and only those who need care stay in as non-cases.
    """
    site.rewrite(
        file_of("observation_period"),
        "select this.* replace (greatest(observation_period_start_date, coalesce(least("
        "observation_period_end_date, last.day), observation_period_end_date)) as"
        " observation_period_end_date) from this left join (select person_id, max(visit_end_date) as day from"
        " cdm_visit_occurrence group by person_id) as last using (person_id) order by observation_period_id",
    )
    site.rebuild("source")


@plant("L18", level="data", task="paca_1y")
def deaths_at_home_count_as_lost(site: Site, _: np.random.Generator) -> None:
    """Only deaths in a hospital's own beds reach the extract; whoever dies at home just stops being seen, so
    the death counts as a move and the row has no label unless the outcome came first.
    """
    condition = (
        "person_id not in (select visit.person_id from cdm_visit_occurrence as visit inner join cdm_death"
        " using (person_id) where visit_concept_id in (9201, 262) and cdm_death.death_date between"
        " visit_start_date and visit_end_date)"
    )
    drop_rows(site, "death", condition)
    site.rebuild("source")


@plant("L18", level="data", task="dhf_1y")
def cause_on_the_certificate_is_an_outcome(site: Site, rng: np.random.Generator) -> None:
    """The cause on the death certificate is loaded as a diagnosis of the day of death, and "heart failure"
    is written on many of them whatever the person died of.
    """
    rows = site.rows(
        "select label.person_id, min(death_date) as day from label inner join cdm_death using (person_id)"
        " where task = 'dhf_1y' and death_date between tar_start_date and tar_end_date"
        " group by label.person_id order by label.person_id"
    )
    rows = rows[rng.random(len(rows)) < 0.7].reset_index(drop=True)
    write(site, "condition_occurrence", rows, rows["day"], 316139)
    site.rebuild("source")


@plant("L19", level="data", task="long_los")
def stays_closed_on_the_day_of_the_extract(site: Site, rng: np.random.Generator) -> None:
    """Visits without a discharge are closed at load with the day of the last export of their ward, a few
    days after admission, so half of the longest stays look short.
    """
    stays = site.rows(
        "select visit_occurrence_id from cdm_visit_occurrence where visit_concept_id in (9201, 262) and"
        " visit_end_date - visit_start_date >= 7 order by visit_occurrence_id"
    )
    stays["days"] = rng.integers(1, 4, len(stays))
    stays = stays[rng.random(len(stays)) < 0.45].reset_index(drop=True)
    site.rewrite(
        file_of("visit_occurrence"),
        "select this.* replace (coalesce(visit_start_date + days::integer, visit_end_date) as visit_end_date)"
        " from this left join closed using (visit_occurrence_id) order by visit_occurrence_id",
        closed=stays,
    )
    site.rebuild("source")


@plant("L19", level="data", task="dhf_1y")
def last_years_not_yet_coded(site: Site, rng: np.random.Generator) -> None:
    """The hospital codes its encounters years late for want of coders: of the diagnoses of the last four
    years of the extract most are missing, and the labels there are mostly negative.
    """
    visits = site.rows(
        "select visit_occurrence_id from cdm_visit_occurrence where visit_start_date >= date '2020-07-01'"
        " order by visit_occurrence_id"
    )
    visits = visits[rng.random(len(visits)) < 0.7].reset_index(drop=True)
    condition = "visit_occurrence_id in (select visit_occurrence_id from uncoded)"
    drop_rows(site, "condition_occurrence", condition, uncoded=visits)
    site.rebuild("source")


@plant("L32", level="data", task="gi_bleed_1y")
def outcome_coded_only_since_a_new_tariff(site: Site, rng: np.random.Generator) -> None:
    """Before the tariff of 2016 a bleed was seldom coded because it paid nothing: the year of the index
    tells more of the label than the person does.
    """
    rows = site.rows(
        "select condition_occurrence_id from cdm_condition_occurrence where condition_concept_id = 192671 and"
        " condition_start_date < date '2016-01-01' order by condition_occurrence_id"
    )
    rows = rows[rng.random(len(rows)) < 0.85].reset_index(drop=True)
    condition = "condition_occurrence_id in (select condition_occurrence_id from uncoded)"
    drop_rows(site, "condition_occurrence", condition, uncoded=pd.DataFrame(rows))
    site.rebuild("source")
