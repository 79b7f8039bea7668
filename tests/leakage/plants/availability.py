"""L01 to L06: what was shown before anybody could have known it."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants.recorded import BILLED_TYPE, cases, concept, conditions, observations, record, some
from leakage.site import Site
from ml.inputs import examples

INCLUDE = "case task_rule.index_day_input when 'include' then 1 else 0 end"


def _widen(site: Site, days: int) -> None:
    site.mutate("example_input", INCLUDE, f"{INCLUDE} + {days}")
    site.rebuild("source")


@plant("L01", level="code", task="dhf_1y", hurts=True)
def window_120_days_too_wide(site: Site, rng: np.random.Generator) -> None:
    """The window of inputs ends 120 days after the index."""
    _widen(site, 120)


@plant("L01", level="code", task="gi_bleed_1y")
def window_3_days_too_wide(site: Site, rng: np.random.Generator) -> None:
    """The window of inputs ends three days after the index."""
    _widen(site, 3)


@plant("L01", level="code", task="dhf_1y", hurts=True)
def cut_runs_past_its_lineage(site: Site, rng: np.random.Generator) -> None:
    """The cut takes forty events more than `example_input` says."""
    old = "and example_input.last_event_no"
    assert examples.EVENT.count(old) == 1
    site.code["ml.inputs.examples.EVENT"] = examples.EVENT.replace(old, f"{old} + 40")
    site.rebuild("published")


@plant("L01", level="data", task="dhf_1y")
def some_runs_too_long(site: Site, rng: np.random.Generator) -> None:
    """In one of ten cases the run of events in the snapshot goes on by two events."""
    chosen = some(cases(site, "dhf_1y"), 0.1, rng)[["example_id", "person_id"]]
    site.rewrite(
        "published/example_input.parquet",
        "select * exclude (more, most) replace (last_event_no + more as last_event_no, n_events +"
        " more as n_events)"
        " from (select *, if(example_id in (select example_id from chosen), least(2, most -"
        " last_event_no), 0)"
        " as more from this left join (select person_id, max(event_no) as most from clinical_event group by"
        " person_id) using (person_id)) order by task, person_id, example_id",
        chosen=chosen,
    )
    site.rebuild("published")


@plant("L01", level="data", task="dhf_1y")
def later_diagnosis_in_the_cut(site: Site, rng: np.random.Generator) -> None:
    """Two in five cases have one diagnosis of the year after the index in their cut, and in their views."""
    chosen = some(cases(site, "dhf_1y"), 0.4, rng)[["example_id", "person_id", "index_date"]]
    later = site.rows(
        "select chosen.example_id, arg_min(event_no, (event_date, event_no)) as event_no,"
        " arg_min(event_id, (event_date, event_no)) as event_id, arg_min(clinical_event.concept_id,"
        " (event_date, event_no)) as concept_id from chosen inner join clinical_event using (person_id)"
        " where domain = 'Condition' and event_date > index_date group by chosen.example_id",
        chosen=chosen,
    )
    site.rewrite(
        "tasks/dhf_1y/examples/event.parquet",
        "select * from this union all by name select later.example_id, later.event_no, later.event_id,"
        " later.concept_id, concept_name, 'Condition' as domain, 1::integer as days_before,"
        " 9999::integer as visit_no from later inner join concept using (concept_id)"
        " order by example_id, days_before desc, event_no",
        later=later,
    )
    site.rewrite(
        "tasks/dhf_1y/examples/example.parquet",
        "select this.* replace ((n_events + (later.example_id is not null)::integer)::integer as n_events)"
        " from this left join later using (example_id) order by example_id",
        later=later,
    )
    site.rebuild("examples")


@plant("L02", level="code", task="dhf_1y")
def index_day_is_shown(site: Site, rng: np.random.Generator) -> None:
    """The comparison with the index day is `<=` where it should be `<`."""
    site.mutate("example_input", "chosen.cut_date > known_day", "chosen.cut_date >= known_day")
    site.rebuild("source")


@plant("L02", level="code", task="gi_bleed_1y")
def index_day_of_some_is_shown(site: Site, rng: np.random.Generator) -> None:
    """One index day in seven, those on a Sunday, is shown."""
    site.mutate("example_input", INCLUDE, f"{INCLUDE} + (isodow(cohort.index_date) = 7)::integer")
    site.rebuild("source")


SEPSIS = 132797
VISIT_END = "when 'visit_end' then greatest(event_date, stay_end_date) + lag_days"


@plant("L03", level="code", task="long_los", hurts=True)
def billing_known_at_its_date(site: Site, rng: np.random.Generator) -> None:
    """Bills of a stay carry its first day and count as known on it; three in five long stays are billed
    for sepsis.
    """
    chosen = some(cases(site, "long_los"), 0.6, rng)
    stays = site.rows(
        "select person_id, visit_occurrence_id, visit_start_date from chosen inner join"
        " cdm_visit_occurrence using"
        " (person_id) where visit_start_date = index_date and visit_concept_id in (9201, 262)"
        " order by visit_occurrence_id",
        chosen=chosen,
    )
    bills = {
        "person_id": stays["person_id"],
        "visit_occurrence_id": stays["visit_occurrence_id"],
        "condition_concept_id": SEPSIS,
        "condition_start_date": stays["visit_start_date"],
        "condition_type_concept_id": BILLED_TYPE,
    }
    record(site, "condition_occurrence", pd.DataFrame(bills))
    site.mutate("event_availability", VISIT_END, "when 'visit_end' then event_date + lag_days")
    site.rebuild("source")


@plant("L03", level="code", task="long_los")
def billing_known_early_in_one_month(site: Site, rng: np.random.Generator) -> None:
    """In March of every year a stay's diagnoses count as known on the day they carry."""
    month = f"when 'visit_end' then case when month(event_date) = 3 then event_date else {VISIT_END[22:]} end"
    site.mutate("event_availability", VISIT_END, month)
    site.rebuild("source")


@plant("L03", level="code", task="dhf_1y")
def procedures_known_at_their_date(site: Site, rng: np.random.Generator) -> None:
    """Procedures of a stay, and no diagnoses, count as known a day before its end."""
    one = "greatest(event_date, stay_end_date - 1) when source_table = 'procedure_occurrence' then event_date"
    rule = f"when 'visit_end' then case when source_table = 'condition_occurrence' then {one} end"
    site.mutate("event_availability", VISIT_END, rule)
    site.rebuild("source")


@plant("L03", level="data", task="long_los", hurts=True)
def stays_lose_their_link(site: Site, rng: np.random.Generator) -> None:
    """Half the diagnoses of long stays lost the link to their visit in the source, and are dated on
    admission.
    """
    site.rewrite(
        "simulated/cdm/condition_occurrence.parquet",
        "select this.* exclude (half) replace (if(lost, v.visit_start_date, condition_start_date) as"
        " condition_start_date, if(lost, null, this.visit_occurrence_id) as visit_occurrence_id) from"
        " (select *, hash(condition_occurrence_id) % 2 = 0 as half from this) as this left join"
        " cdm_visit_occurrence as v on this.visit_occurrence_id = v.visit_occurrence_id cross join lateral"
        " (select coalesce(half and v.visit_concept_id in (9201, 262) and v.visit_end_date -"
        " v.visit_start_date >= 7, false) as lost) order by condition_occurrence_id",
    )
    site.rebuild("source")


VISIT = (
    "'Visit' as domain, visit_start_date as event_date, cast(null as date) as result_date,"
    " cast(visit_occurrence_id as bigint) as visit_occurrence_id, visit_type_concept_id as type_concept_id,"
    " cast({number} as double) as value_as_number, cast({concept} as bigint) as value_as_concept_id"
)


def _visit_says(site: Site, number: str = "null", concept: str = "null") -> None:
    old = VISIT.format(number="null", concept="null")
    site.mutate("event_record", old, VISIT.format(number=number, concept=concept))
    site.rebuild("source")


@plant("L04", level="code", task="long_los", hurts=True)
def admission_tells_its_length(site: Site, rng: np.random.Generator) -> None:
    """The start of a visit carries its length in days as a value."""
    _visit_says(site, number="visit_end_date - visit_start_date")


@plant("L04", level="code", task="long_los")
def admission_tells_the_destination(site: Site, rng: np.random.Generator) -> None:
    """The start of a visit carries where the person was discharged to."""
    _visit_says(site, concept="discharged_to_concept_id")


@plant("L04", level="code", task="long_los")
def discharge_known_at_admission(site: Site, rng: np.random.Generator) -> None:
    """The end of a stay counts as known on the day the stay starts."""
    early = "else event_date - case when kind = 'end' and stay_end_date is not null then"
    site.mutate("event_availability", "else event_date + lag_days",
                f"{early} greatest(event_date - stay_start_date, 0) else 0 end::integer +"
                f" lag_days")  # fmt: skip
    site.mutate("event_availability", "bool_or(stay.concept_id is not null) as is_stay,",
                "bool_or(stay.concept_id is not null) as is_stay,"
                " min(visit_occurrence.visit_start_date) as stay_start_date,")  # fmt: skip
    site.mutate("event_availability", "ruled.*, visit.stay_end_date,",
                "ruled.*, visit.stay_end_date, visit.stay_start_date,")  # fmt: skip
    site.rebuild("source")


@plant("L04", level="data", task="long_los", hurts=True)
def group_of_the_stay_on_admission(site: Site, rng: np.random.Generator) -> None:
    """A payment group that grows with the length of the stay is filed on the day of admission, as an
    observation.
    """
    code = concept(site, 2_000_009_040, "Payment group: complex care", "Observation")
    long, short = some(cases(site, "long_los"), 0.7, rng), some(cases(site, "long_los", 0), 0.05, rng)
    rows = pd.concat([long, short])
    observations(site, rows, rows["index_date"], code)
    site.rebuild("source")


@plant("L05", level="data", task="dhf_1y", hurts=True)
def backfilled_history(site: Site, rng: np.random.Generator) -> None:
    """After the first snapshot, old-dated shortness of breath was filed for half the cases; both snapshots
    are kept.
    """
    site.keep_snapshot()
    chosen = some(cases(site, "dhf_1y"), 0.5, rng)
    days = pd.to_timedelta(rng.integers(20, 120, size=len(chosen)), unit="D")
    conditions(site, chosen, chosen["index_date"] - days, 312437)
    site.rebuild("source")


DRUG = (
    "'Drug' as domain, drug_exposure_start_date as event_date, cast(null as date) as result_date,"
    " cast(visit_occurrence_id as bigint) as visit_occurrence_id, drug_type_concept_id as type_concept_id,"
    " cast({number} as double) as value_as_number"
)
CONDITION = (
    "'Condition' as domain, condition_start_date as event_date, cast(null as date) as result_date,"
    " cast(visit_occurrence_id as bigint) as visit_occurrence_id,"
    " condition_type_concept_id as type_concept_id, cast({number} as double) as value_as_number"
)


@plant("L06", level="code", task="gi_bleed_1y")
def drug_carries_its_era(site: Site, rng: np.random.Generator) -> None:
    """A drug event carries the days to the last exposure of its era, which later exposures stretch."""
    last = "max(drug_exposure_start_date) over (partition by person_id, drug_concept_id)"
    era = DRUG.format(number=f"{last} - drug_exposure_start_date")
    site.mutate("event_record", DRUG.format(number="null"), era)
    site.rebuild("source")


@plant("L06", level="code", task="dhf_1y")
def diagnosis_carries_its_era_count(site: Site, rng: np.random.Generator) -> None:
    """A diagnosis carries how often its era saw it, as `condition_era` counts it, all of the record."""
    count = "count(*) over (partition by person_id, condition_concept_id)"
    site.mutate("event_record", CONDITION.format(number="null"), CONDITION.format(number=count))
    site.rebuild("source")
