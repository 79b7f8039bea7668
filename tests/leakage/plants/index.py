"""L14 to L16: time zero chosen, and controls taken, with what came later."""

import numpy as np

from leakage.plants.plant import plant
from leakage.site import Site

MOVED = (
    "case eligible.index_rule when 'outcome_or_last_visit' then coalesce(eligible.outcome_date,"
    " last_visit.visit_start_date, eligible.index_date) - eligible.index_gap_days"
    " else eligible.index_date end as example_date"
)
ELIGIBLE = "where entry_step.is_example"


def _take(site: Site, condition: str) -> None:
    site.mutate("example", ELIGIBLE, f"{ELIGIBLE} and ({condition})")
    site.rebuild("source")


def _move(site: Site, task: str, day: str) -> None:
    """Let the index of the labelled examples of a task be another day; `day` may name `last_visit`."""
    site.mutate("example", "where eligible.index_rule = 'outcome_or_last_visit'", "where true")
    site.mutate("example", MOVED, f"case when eligible.task = '{task}' and eligible.y_true is not null"
                f" then {day} else eligible.index_date end as example_date")  # fmt: skip
    site.rebuild("source")


@plant("L14", level="code", task="dhf_1y")
def only_who_comes_back(site: Site, rng: np.random.Generator) -> None:
    """Only persons with two visits after the index enter the cohort."""
    _take(site, "(select count(*) from visit_occurrence as v where v.person_id = entry_label.person_id"
          " and v.visit_start_date > entry_label.index_date) >= 2")  # fmt: skip


@plant("L14", level="code", task="dhf_1y")
def only_who_survives(site: Site, rng: np.random.Generator) -> None:
    """Persons who die in the half year after the index without the outcome do not enter: immortal time."""
    _take(site, "entry_label.y_true = 1 or entry_label.death_date is null"
          " or entry_label.death_date > entry_label.index_date + 180")  # fmt: skip


@plant("L14", level="code", task="gi_bleed_1y")
def first_exposure_that_is_followed_by_another(site: Site, rng: np.random.Generator) -> None:
    """Only who has a visit within ninety days after the index enters, as a confirmed user would."""
    _take(site, "exists (select 1 from visit_occurrence as v where v.person_id = entry_label.person_id"
          " and v.visit_start_date between entry_label.index_date + 1 and entry_label.index_date +"
          " 90)")  # fmt: skip


@plant("L15", level="code", task="paca_1y", hurts=True)
def cases_at_diagnosis_controls_at_last_visit(site: Site, rng: np.random.Generator) -> None:
    """Cases are indexed on the day of the outcome, others at their last visit."""
    _move(
        site, "paca_1y", "coalesce(eligible.outcome_date, last_visit.visit_start_date, eligible.index_date)"
    )


@plant("L15", level="code", task="dhf_1y", hurts=True)
def some_cases_the_day_before_diagnosis(site: Site, rng: np.random.Generator) -> None:
    """Half the cases are indexed on the day before the outcome, everybody else as declared."""
    half = "eligible.y_true = 1 and hash(eligible.person_id) % 2 = 0"
    _move(site, "dhf_1y", f"if({half}, eligible.outcome_date - 1, eligible.index_date)")


@plant("L16", level="code", task="paca_1y", hurts=True)
def controls_at_their_last_visit(site: Site, rng: np.random.Generator) -> None:
    """Non-cases are indexed at their last visit, cases as declared."""
    last = "coalesce(last_visit.visit_start_date, eligible.index_date)"
    _move(site, "paca_1y", f"if(eligible.y_true = 0, {last}, eligible.index_date)")


@plant("L16", level="code", task="dhf_1y")
def controls_with_long_records(site: Site, rng: np.random.Generator) -> None:
    """Non-cases need four years on record before the index, cases one, as declared."""
    _take(site, "coalesce(entry_label.y_true, 1) = 1 or entry_label.index_date -"
          " entry_label.observation_period_start_date > 1461")  # fmt: skip
