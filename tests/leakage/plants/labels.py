"""L13, L17, L18 and L19: what the label says that did not happen in the time at risk, or was not seen."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants.recorded import cases, conditions, some
from leakage.site import Site

FAILURE, PANCREAS, BLEED = 316139, 4180793, 192671


@plant("L13", level="code", task="dhf_1y")
def window_starts_before_the_index(site: Site, rng: np.random.Generator) -> None:
    """The time at risk starts thirty days before the index, and prior outcomes of those days stay in."""
    site.mutate("entry", "index_day.index_date + task_rule.tar_start_days as tar_start_date",
                "index_day.index_date - 30 as tar_start_date")  # fmt: skip
    site.rebuild("source")


@plant("L13", level="code", task="paca_1y")
def window_half_a_year_too_long(site: Site, rng: np.random.Generator) -> None:
    """Outcomes up to 180 days after the end of the time at risk count, which the snapshot still names as
    it was.
    """
    site.mutate("candidate", "criterion_day.event_date between entry.tar_start_date and entry.tar_end_date",
                "criterion_day.event_date between entry.tar_start_date and entry.tar_end_date +"
                " 180")  # fmt: skip
    site.rebuild("source")


@plant("L13", level="data", task="gi_bleed_1y")
def outcomes_moved_to_the_index(site: Site, rng: np.random.Generator) -> None:
    """In a tenth of the cases the published outcome is dated on the index day, as is the event behind it."""
    chosen = some(cases(site, "gi_bleed_1y"), 0.1, rng)[
        ["example_id", "person_id", "index_date", "outcome_date"]
    ]
    site.rewrite(
        "published/label.parquet",
        "select * replace (if(example_id in (select example_id from chosen), index_date, outcome_date) as"
        " outcome_date) from this order by task, person_id, index_date, example_id",
        chosen=chosen,
    )
    site.rewrite(
        "published/clinical_event.parquet",
        f"select this.* replace (if(this.concept_id = {BLEED} and chosen.example_id is not null,"
        " chosen.index_date::date, event_date) as event_date) from this left join chosen on this.person_id ="
        " chosen.person_id and event_date = outcome_date order by person_id, event_no",
        chosen=chosen,
    )
    site.rebuild("published")


@plant("L13", level="data", task="long_los")
def labels_turned_by_hand(site: Site, rng: np.random.Generator) -> None:
    """One non-case in fifty is a case in the published label, without any outcome."""
    chosen = some(cases(site, "long_los", 0), 0.02, rng)[["example_id", "tar_start_date"]]
    site.rewrite(
        "published/label.parquet",
        "select this.* replace (if(chosen.example_id is not null, 1, y_true) as y_true, if(chosen.example_id"
        " is not null, chosen.tar_start_date::date, this.outcome_date) as outcome_date) from this left join"
        " chosen using (example_id) order by task, person_id, index_date, example_id",
        chosen=chosen,
    )
    site.rebuild("published")


@plant("L17", level="code", task="dhf_1y")
def the_lost_are_negative(site: Site, rng: np.random.Generator) -> None:
    """Who is lost before the end of the time at risk counts as without the outcome."""
    site.mutate("entry_label", "when is_lost then 'lost_to_follow_up'", "when false then 'lost_to_follow_up'")
    site.rebuild("source")


@plant("L17", level="code", task="paca_1y")
def the_partly_followed_are_negative(site: Site, rng: np.random.Generator) -> None:
    """Who is lost later than two months after the index counts as without the outcome, and the end of
    follow-up is painted over.
    """
    late = "when is_lost and observation_period_end_date < tar_end_date - 300 then 'lost_to_follow_up'"
    site.mutate("entry_label", "when is_lost then 'lost_to_follow_up'", late)
    honest = "least(entry.observation_period_end_date, entry.death_date) as follow_up_end_date"
    painted = "greatest(entry.tar_end_date, entry.observation_period_end_date) as follow_up_end_date"
    site.mutate("entry_label", honest, painted)
    site.rebuild("source")


@plant("L17", level="data", task="dhf_1y")
def the_sick_are_lost(site: Site, rng: np.random.Generator) -> None:
    """Three in five of those with more diagnoses than the middle person are lost within ten months of the
    index.
    """
    rows = site.rows(
        "select cohort.example_id, cohort.person_id, cohort.index_date, count(*) filter (where event_date <"
        " index_date and domain = 'Condition') as n from cohort inner join clinical_event using (person_id)"
        " where task = 'dhf_1y' group by all order by example_id"
    )
    sick = some(rows[rows["n"] > rows["n"].median()], 0.6, rng)
    lost = sick.assign(last=sick["index_date"] + pd.to_timedelta(rng.integers(5, 300, len(sick)), unit="D"))
    dates = {
        "visit_occurrence": "visit_start_date",
        "condition_occurrence": "condition_start_date",
        "drug_exposure": "drug_exposure_start_date",
        "procedure_occurrence": "procedure_date",
        "measurement": "measurement_date",
        "observation": "observation_date",
        "death": "death_date",
    }
    for table, day in dates.items():
        site.rewrite(
            f"simulated/cdm/{table}.parquet",
            f"select this.* from this left join lost using (person_id) where lost.last is null or"
            f" {day} <= last",
            lost=lost[["person_id", "last"]],
        )
    end = "observation_period_end_date"
    site.rewrite(
        "simulated/cdm/observation_period.parquet",
        f"select this.* replace (least({end}, coalesce(last::date, {end})) as {end}) from this"
        " left join lost using (person_id)",
        lost=lost[["person_id", "last"]],
    )
    site.rebuild("source")


@plant("L18", level="code", task="dhf_1y")
def outcomes_after_death(site: Site, rng: np.random.Generator) -> None:
    """Bills of the dead come months later and count as outcomes: the label forgets the day of death."""
    dead = site.rows(
        "select cohort.person_id, death_date as index_date from cohort inner join cdm_death using (person_id)"
        " inner join label using (task, example_id) where task = 'dhf_1y' and y_true = 0 and"
        " death_date between"
        " cohort.index_date and cohort.index_date + 340 order by cohort.person_id"
    )
    chosen = some(dead, 0.8, rng)
    day = chosen["index_date"] + pd.to_timedelta(rng.integers(3, 20, size=len(chosen)), unit="D")
    conditions(site, chosen, day, FAILURE)
    _extend(site, chosen["person_id"], 60)
    site.mutate(
        "candidate", "(entry.death_date is null or criterion_day.event_date <= entry.death_date)", "true"
    )
    site.rebuild("source")


def _extend(site: Site, person_id: pd.Series, days: int) -> None:
    end = "observation_period_end_date"
    site.rewrite(
        "simulated/cdm/observation_period.parquet",
        f"select * replace (if(person_id in (select person_id from longer), ({end} + {days})::date, {end})"
        f" as {end}) from this",
        longer=pd.DataFrame({"person_id": person_id}),
    )


@plant("L18", level="code", task="long_los")
def the_dead_have_no_label(site: Site, rng: np.random.Generator) -> None:
    """Who dies in the time at risk is dropped, where the task says that a death is no outcome."""
    site.mutate("entry_label", "when is_death_unknown and death_date <= tar_end_date",
                "when death_date <= tar_end_date")  # fmt: skip
    site.rebuild("source")


@plant("L18", level="data", task="dhf_1y")
def the_table_of_deaths_is_lost(site: Site, rng: np.random.Generator) -> None:
    """The source lost its deaths, and who died goes on as observed to the end of the data without the
    outcome.
    """
    site.rewrite(
        "simulated/cdm/observation_period.parquet",
        "select * replace (if(person_id in (select person_id from cdm_death), (select"
        " max(observation_period_end_date) from this), observation_period_end_date) as"
        " observation_period_end_date) from this",
    )
    site.rewrite("simulated/cdm/death.parquet", "select * from this where false")
    site.rebuild("source")


@plant("L19", level="data", task="dhf_1y")
def periods_go_on_after_the_extraction(site: Site, rng: np.random.Generator) -> None:
    """Periods that ended with the data are declared to go on for two hundred days in which nothing is
    recorded.
    """
    end = "observation_period_end_date"
    rows = site.rows(
        f"select person_id from cdm_observation_period where {end} >= (select max({end}) - 30 from"
        " cdm_observation_period) order by person_id"
    )
    _extend(site, rows["person_id"], 200)
    site.rebuild("source")


@plant("L19", level="data", task="dhf_1y")
def outcomes_not_yet_coded(site: Site, rng: np.random.Generator) -> None:
    """Of the outcomes of the data's last year nine in ten are not coded yet."""
    site.rewrite(
        "simulated/cdm/condition_occurrence.parquet",
        "select * from this where not (condition_concept_id in (316139, 4229440) and condition_start_date >"
        " (select max(observation_period_end_date) - 365 from cdm_observation_period) and"
        " hash(condition_occurrence_id) % 10 > 0)",
    )
    site.rebuild("source")


@plant("L19", level="code", task="paca_1y")
def open_windows_count(site: Site, rng: np.random.Generator) -> None:
    """Windows that run past the data's end stay in, and who has no outcome so far counts as without."""
    site.mutate("entry_step", "case when criteria_judged.is_open then 'closed' end,", "")
    open_end = "observation_period_end_date >= (select max(observation_period_end_date) from observed_period)"
    site.mutate("entry_label", "when is_lost then 'lost_to_follow_up'",
                f"when is_lost and not ({open_end}) then 'lost_to_follow_up'")  # fmt: skip
    site.rebuild("source")
