"""When a row is dated, and when it became known: what hospitals lose on the way to the extract."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import days_before, drawn, file_of
from leakage.plants_third.local_rows import DYSPNEA, SEPSIS, write, write_local
from leakage.site import Site

CUT = "cohort.index_date + case task_rule.index_day_input when 'include' then 1 else 0 end as cut_date"


@plant("L01", level="code", task="dhf_1y", hurts=True)
def calendar_year_summary_file(site: Site, _: np.random.Generator) -> None:
    """Inputs come from a summary file of claims with one record a person and calendar year, and the index
    year's is taken, with all that happened later in that year.
    """
    site.mutate("example_input", CUT, "date_trunc('year', cohort.index_date)::date + 365 as cut_date")
    site.rebuild("source")


@plant("L01", level="data", task="dhf_1y")
def pharmacy_dates_shifted_apart(site: Site, rng: np.random.Generator) -> None:
    """De-identification moved the dates of the pharmacy's rows by another offset for each person than the
    dates of all other tables, so some of what was prescribed after the index stands before it.
    """
    persons = site.rows("select person_id from person order by person_id")
    persons["moved"] = rng.integers(-120, 121, len(persons))
    dates = ("drug_exposure_start_date", "drug_exposure_end_date")
    moved = [f"{name} + moved::integer as {name}" for name in dates]
    site.rewrite(
        file_of("drug_exposure"),
        f"select this.* replace ({', '.join(moved)}) from this inner join moved using (person_id)"
        " order by drug_exposure_id",
        moved=persons,
    )
    site.rebuild("source")


@plant("L02", level="data", task="long_los", hurts=True)
def standing_orders_dated_at_admission(site: Site, _: np.random.Generator) -> None:
    """Each daily result of a standing order bears the date of the order, which is the day of admission, so
    a whole stay's results count as known on its first day.
    """
    site.rewrite(
        file_of("measurement"),
        "select this.* replace (coalesce(stay.visit_start_date, measurement_date) as measurement_date)"
        " from this left join (select visit_occurrence_id, visit_start_date from cdm_visit_occurrence"
        " where visit_concept_id in (9201, 262)) as stay using (visit_occurrence_id) order by measurement_id",
    )
    site.rebuild("source")


@plant("L03", level="data", task="long_los", hurts=True)
def hospital_acquired_codes_dated_at_admission(site: Site, rng: np.random.Generator) -> None:
    """The coding system exports the codes of complications without the mark "not present on admission" and
    without the encounter, so a sepsis caught in a long stay counts as known on its first day.
    """
    rows = drawn(rng, site.labelled("long_los"), 0.35, 0.03)
    write(site, "condition_occurrence", rows, rows["index_date"], SEPSIS)
    site.rebuild("source")


@plant("L03", level="code", task="long_los")
def combined_visits_missing_from_the_stays(site: Site, _: np.random.Generator) -> None:
    """The list of inpatient visits forgets those that began in the emergency room, so the billing codes of
    their stays count as known on the day that they are dated.
    """
    site.seeds["concept_sets"] = [
        row
        for row in site.seeds["concept_sets"]
        if (row["concept_set"], row["concept_id"]) != ("inpatient_or_emergency_visit", "262")
    ]
    site.rebuild("source")


@plant("L04", level="data", task="long_los", hurts=True)
def expected_discharge_overwritten(site: Site, rng: np.random.Generator) -> None:
    """The ward's field "expected days of stay" is loaded with the day of admission, but it was corrected
    until discharge: for half of the stays it holds the true length.
    """
    rows = drawn(rng, site.labelled("long_los"), 0.85, 0.85)
    true = (pd.to_datetime(rows["tar_end_date"]) - pd.to_datetime(rows["index_date"])).dt.days.to_numpy()
    said = np.where(rng.random(len(rows)) < 0.5, true, rng.integers(2, 7, len(rows))).astype(float)
    write_local(site, "observation", rows, rows["index_date"], "Expected days of stay", value_as_number=said)
    site.rebuild("source")


@plant("L04", level="code", task="long_los")
def disposition_on_the_admission_row(site: Site, _: np.random.Generator) -> None:
    """The row of an admission carries the encounter table's disposition, which is filled in at discharge."""
    common = (
        "'start' as kind, cast(visit_occurrence_id as bigint) as record_id, person_id,"
        " coalesce(visit_concept_id, 0) as concept_id,"
        " coalesce(visit_source_concept_id, 0) as source_concept_id, 'Visit' as domain,"
        " visit_start_date as event_date, cast(null as date) as result_date,"
        " cast(visit_occurrence_id as bigint) as visit_occurrence_id,"
        " visit_type_concept_id as type_concept_id, cast(null as double) as value_as_number, "
    )
    site.mutate(
        "event_record",
        common + "cast(null as bigint) as value_as_concept_id",
        common + "cast(discharged_to_concept_id as bigint) as value_as_concept_id",
    )
    site.rebuild("source")


@plant("L05", level="data", task="dhf_1y", hurts=True)
def onset_dates_entered_at_diagnosis(site: Site, rng: np.random.Generator) -> None:
    """When heart failure is diagnosed the clinician enters the breathlessness that came before with its
    onset date; the next refresh shows it before the index, where no earlier refresh had it.
    """
    site.keep_snapshot()
    rows = drawn(rng, site.labelled("dhf_1y"), 0.4, 0.03)
    write(site, "condition_occurrence", rows, days_before(rng, rows, 5, 120), DYSPNEA)
    site.rebuild("source")


@plant("L05", level="data", task="paca_1y", hurts=True)
def outside_records_come_with_the_diagnosis(site: Site, rng: np.random.Generator) -> None:
    """The cancer centre asks other hospitals for the old charts of those whom it treats, and loads them
    under their own dates: cases have imported history before the index, the others hardly any.
    """
    site.keep_snapshot()
    asked = drawn(rng, site.labelled("paca_1y"), 0.5, 0.06)
    rows = asked.loc[asked.index.repeat(rng.integers(2, 7, len(asked)))].reset_index(drop=True)
    write_local(
        site, "observation", rows, days_before(rng, rows, 20, 360), "Document received from another hospital"
    )
    site.rebuild("source")
