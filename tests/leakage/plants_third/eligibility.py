"""Who enters, and on which day: rules that read what comes after the index, as cohort code often does."""

import numpy as np

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import drawn, drop_rows
from leakage.site import Site


@plant("L07", level="code", task="dhf_1y")
def half_year_look_back_for_the_outcome(site: Site, _: np.random.Generator) -> None:
    """The query that keeps out persons who have the outcome looks back half a year only, so old heart
    failure that was not coded lately passes, and its next code makes a case.
    """
    site.mutate(
        "entry_outcome",
        "task_rule.washout_days is null or criterion_day.event_date >= entry.index_date -"
        " task_rule.washout_days",
        "criterion_day.event_date >= entry.index_date - 180",
    )
    site.rebuild("source")


@plant("L13", level="code", task="dhf_1y", hurts=True)
def label_by_calendar_year(site: Site, _: np.random.Generator) -> None:
    """The label asks for the outcome in the calendar year of the index or within a year of it, so what was
    coded earlier in that year makes a case instead of an exclusion.
    """
    site.mutate(
        "entry",
        "index_day.index_date + task_rule.tar_start_days as tar_start_date",
        "date_trunc('year', index_day.index_date)::date as tar_start_date",
    )
    site.rebuild("source")


@plant("L14", level="code", task="dhf_1y")
def second_code_needed_after_the_index(site: Site, _: np.random.Generator) -> None:
    """A phenotype asks for a second diabetes code within a year, but the index stays at the first code: who
    enters is decided by what comes later.
    """
    site.mutate(
        "index_day",
        "entry_no = 1 or (entry_limit <> 'first_ever' and available_before < available_date)",
        "(entry_no = 1 and exists (select 1 from known as later where later.task = known.task and"
        " later.person_id = known.person_id and later.available_date > known.available_date + 29 and"
        " later.available_date <= known.available_date + 365)) or (entry_limit <> 'first_ever' and"
        " available_before < available_date)",
    )
    site.rebuild("source")


@plant("L14", level="code", task="paca_1y")
def early_deaths_left_out(site: Site, _: np.random.Generator) -> None:
    """Persons who die within three months of the index are left out as unfit for the study, which nobody
    knows on that day.
    """
    site.mutate(
        "entry_step",
        "when entry_label.death_available_date <= entry_label.index_date then 'alive'",
        "when entry_label.death_available_date <= entry_label.index_date + 90 then 'alive'",
    )
    site.rebuild("source")


@plant("L15", level="code", task="paca_1y", hurts=True)
def cases_indexed_before_their_diagnosis(site: Site, _: np.random.Generator) -> None:
    """Cases are looked at a month before their diagnosis and the others at their first warning sign, as in
    a case-control table that was taken over as a cohort.
    """
    site.mutate(
        "example",
        "else eligible.index_date end as example_date",
        "else greatest(eligible.index_date, eligible.outcome_date - 30) end as example_date",
    )
    site.rebuild("source")


@plant("L15", level="code", task="gi_bleed_1y", hurts=True)
def others_indexed_at_a_later_visit(site: Site, _: np.random.Generator) -> None:
    """Those without the outcome are looked at on a routine visit half a year after their first prescription,
    because the check-up form was filled in there; cases at the prescription itself.
    """
    site.mutate(
        "example",
        "else eligible.index_date end as example_date",
        "when 'anchor' then case when eligible.y_true = 0 then coalesce((select min(visit_start_date) from"
        " visit_occurrence where visit_occurrence.person_id = eligible.person_id and visit_concept_id = 9202"
        " and visit_start_date between eligible.index_date + 150 and eligible.index_date + 330),"
        " eligible.index_date) else eligible.index_date end else eligible.index_date end as example_date",
    )
    site.rebuild("source")


@plant("L16", level="code", task="gi_bleed_1y", hurts=True)
def healthy_controls_without_a_stay(site: Site, _: np.random.Generator) -> None:
    """Controls come from the list of the healthy: whoever has no outcome and was in hospital in the two
    years before the index is left out, cases are kept.
    """
    site.mutate(
        "example",
        "where entry_step.is_example",
        "where entry_step.is_example and (entry_label.y_true is distinct from 0 or not exists (select 1 from"
        " visit_occurrence where visit_occurrence.person_id = entry_label.person_id and visit_concept_id in"
        " (9201, 262) and visit_start_date between entry_label.index_date - 730 and entry_label.index_date))",
    )
    site.rebuild("source")


@plant("L16", level="data", task="dhf_1y", hurts=True)
def old_rows_purged_but_for_the_ill(site: Site, rng: np.random.Generator) -> None:
    """The old system was emptied of rows more than a year and a half before the index, except for those whom
    the heart centre still follows.
    """
    rows = drawn(rng, site.labelled("dhf_1y"), 0.1, 0.65)[["person_id", "index_date"]]
    dates = {
        "condition_occurrence": "condition_start_date",
        "drug_exposure": "drug_exposure_start_date",
        "procedure_occurrence": "procedure_date",
        "measurement": "measurement_date",
        "observation": "observation_date",
        "visit_occurrence": "visit_start_date",
    }
    for table, day in dates.items():
        drop_rows(
            site,
            table,
            f"{day} < (select cast(min(purged.index_date) as date) - 540 from purged"
            " where purged.person_id = this.person_id)",
            purged=rows,
        )
    site.rebuild("source")
