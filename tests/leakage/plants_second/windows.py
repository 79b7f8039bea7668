"""The time at risk (L13), who must live through it (L14), who leaves it (L17, L18), what is late (L19)."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import BY_PERSON, drop_rows, file_of, replace_columns
from leakage.site import Site
from ml.inputs import examples

Y_TRUE = "label.y_true::integer as y_true"


@plant("L13", level="code", task="paca_1y")
def counted_in_calendar_years(site: Site, rng: np.random.Generator) -> None:
    """A year after the index is counted in new years, so that an outcome of 20 months later may be one."""
    site.mutate(
        "candidate",
        "criterion_day.event_date between entry.tar_start_date and entry.tar_end_date",
        "criterion_day.event_date >= entry.tar_start_date and (task_rule.tar_end = 'days'"
        " and date_diff('year', entry.index_date, criterion_day.event_date) <= 1"
        " or criterion_day.event_date <= entry.tar_end_date)",
    )
    site.rebuild("source")


@plant("L13", level="data", task="paca_1y")
def labels_joined_by_position(site: Site, rng: np.random.Generator) -> None:
    """Labels without the missing ones were set beside all examples by position, so that they slip."""
    path = site.examples(site.tasks[0])
    table = pd.read_parquet(path / "example.parquet", columns=["example_id", "y_true"])
    known = table["y_true"].dropna().astype(int).tolist()
    slipped = pd.DataFrame(
        {
            "example_id": table["example_id"],
            "slipped": pd.array(known + [None] * (len(table) - len(known)), dtype="Int64"),
        }
    )
    for file in ("example", "label"):
        site.rewrite(
            str((path / f"{file}.parquet").relative_to(site.root)),
            "select this.* replace (slipped.slipped::integer as y_true) from this"
            " inner join slipped using (example_id) order by example_id",
            slipped=slipped,
        )
    site.rebuild("examples")


@plant("L14", level="code", task="dhf_1y")
def treated_within_three_months(site: Site, rng: np.random.Generator) -> None:
    """Who enters must have had an antidiabetic drug within three months after the index, and so lived on."""
    blank = dict.fromkeys(site.seeds["criteria"][0], "")
    site.seeds["criteria"].append(
        blank
        | {
            "task": site.tasks[0],
            "order": "3",
            "role": "require",
            "domain": "Drug",
            "concept_set": "antidiabetic_drug",
            "window_start_days": "-365",
            "window_end_days": "90",
            "min_count": "1",
            "description": "an antidiabetic drug around the index",
        }
    )
    site.rebuild("source")


@plant("L14", level="data", task="dhf_1y")
def extract_of_active_patients(site: Site, rng: np.random.Generator) -> None:
    """The extract holds patients under observation in its last three years: who died before is missing."""
    gone = site.rows(
        "select person_id from cdm_observation_period group by person_id"
        " having max(observation_period_end_date)"
        " < (select max(observation_period_end_date) - 1095 from cdm_observation_period)"
    )
    for table in BY_PERSON:
        drop_rows(site, table, "person_id in (select person_id from gone)", gone=gone)
    site.rebuild("source")


@plant("L17", level="data", task="dhf_1y")
def periods_run_to_the_extraction(site: Site, rng: np.random.Generator) -> None:
    """Who left without dying is taken as observed to the extraction, so that nobody is ever lost."""
    replace_columns(
        site,
        "observation_period",
        "case when person_id in (select person_id from cdm_death) then observation_period_end_date"
        " else (select max(observation_period_end_date) from cdm_observation_period) end"
        " as observation_period_end_date",
    )
    site.rebuild("source")


@plant("L17", level="code", task="gi_bleed_1y")
def missing_label_becomes_zero(site: Site, rng: np.random.Generator) -> None:
    """The cut fills a missing label with 0, as after any left join."""
    assert examples.EXAMPLE.count(Y_TRUE) == 1
    site.code["ml.inputs.examples.EXAMPLE"] = examples.EXAMPLE.replace(
        Y_TRUE, "coalesce(label.y_true, 0)::integer as y_true"
    )
    site.rebuild("published")


@plant("L18", level="code", task="dhf_1y")
def death_counts_as_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """A death in the time at risk is labelled as the outcome, dated by the death."""
    died = "death_date between tar_start_date and tar_end_date"
    site.mutate(
        "entry_label",
        "when candidate_date is not null then 1 else 0 end as y_true",
        f"when candidate_date is not null or coalesce({died}, false) then 1 else 0 end as y_true",
    )
    site.mutate(
        "entry_label",
        "case when reason is null then candidate_date end as outcome_date",
        f"case when reason is null then coalesce(candidate_date, case when {died} then death_date end) end"
        " as outcome_date",
    )
    site.rebuild("source")


@plant("L18", level="data", task="gi_bleed_1y")
def deaths_dated_at_registration(site: Site, rng: np.random.Generator) -> None:
    """Deaths bear the day on which the registry reported them, weeks after the record ends."""
    replace_columns(
        site, "death", "cast(death_date + 20 + (hash(person_id) % 80)::integer as date) as death_date"
    )
    site.rebuild("source")


@plant("L19", level="data", task="paca_1y")
def clinics_stop_sending_codes(site: Site, rng: np.random.Generator) -> None:
    """A third of the persons go to clinics whose visits of the last two years have arrived without codes."""
    site.rewrite(
        file_of("condition_occurrence"),
        "select * from this where hash(person_id) % 3 <> 0 or condition_start_date"
        " < (select max(observation_period_end_date) - 730 from cdm_observation_period)",
    )
    site.rebuild("source")
