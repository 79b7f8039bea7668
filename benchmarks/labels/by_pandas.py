"""dhf_1y in pandas, as an analyst would write it for this one task, from `dbt_project/DEFINITIONS.md` alone.

    python -m benchmarks.labels.by_pandas INPUTS LABELS

INPUTS holds Parquet files: clinical_event, person, observed_period, concept_set_member. LABELS is the Parquet
file to write, one row an example: person_id, index_date, y_true, reason, outcome_date.
"""

import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa

PRIOR_OBSERVATION = pd.Timedelta(days=365)
TIME_AT_RISK_START, TIME_AT_RISK_END = pd.Timedelta(days=1), pd.Timedelta(days=365)
AGE_MIN = 18


def main(inputs: Path, labels: Path) -> None:
    """Read the inputs, make the labels, write them."""
    periods = pd.read_parquet(inputs / "observed_period.parquet").astype(
        {"observation_period_start_date": "datetime64[s]", "observation_period_end_date": "datetime64[s]"}
    )
    periods.columns = periods.columns.str.removeprefix("observation_period_").str.removesuffix("_date")
    person = pd.read_parquet(inputs / "person.parquet", columns=["person_id", "birth_date"])
    cohort = find_cohort(
        _events(inputs, "type_2_diabetes"),
        _events(inputs, "heart_failure"),
        _deaths(inputs),
        periods,
        person.astype({"birth_date": "datetime64[s]"}),
    )
    label(cohort, _events(inputs, "heart_failure")).to_parquet(labels, index=False)


def find_cohort(
    diabetes: pd.DataFrame,
    heart_failure: pd.DataFrame,
    deaths: pd.DataFrame,
    periods: pd.DataFrame,
    person: pd.DataFrame,
) -> pd.DataFrame:
    """Return the examples: person_id, index_date, start and end of the period, death and when known."""
    entry = diabetes.groupby("person_id").agg(index_date=("available_date", "min")).reset_index()

    around = entry.merge(periods, on="person_id")
    around = around[around["index_date"].between(around["start"], around["end"])]
    around = around.sort_values(["person_id", "start", "end"], ascending=[True, True, False])
    cohort = around.drop_duplicates("person_id")
    cohort = cohort[cohort["index_date"] - cohort["start"] >= PRIOR_OBSERVATION]

    cohort = cohort.merge(person, on="person_id")
    cohort = cohort[_full_years(cohort["birth_date"], cohort["index_date"]) >= AGE_MIN]

    cohort = cohort.merge(deaths, on="person_id", how="left")
    cohort = cohort[~(cohort["death_known"] <= cohort["index_date"])]

    known = cohort.merge(heart_failure, on="person_id")
    known = known[known["available_date"] <= known["index_date"]]
    cohort = cohort[~cohort["person_id"].isin(known["person_id"])]

    return cohort[cohort["index_date"] + TIME_AT_RISK_END <= periods["end"].max()]


def label(cohort: pd.DataFrame, heart_failure: pd.DataFrame) -> pd.DataFrame:
    """Return one row an example of `find_cohort`, with y_true, reason and outcome_date."""
    cohort = cohort.set_index("person_id")
    last_day = cohort["index_date"] + TIME_AT_RISK_END
    follow_up_end = cohort[["end", "death"]].min(axis=1)
    died_in_period = cohort["death"] <= cohort["end"]

    events = heart_failure.merge(cohort[["index_date"]].assign(until=follow_up_end), on="person_id")
    days = events["event_date"] - events["index_date"]
    at_risk = days.between(TIME_AT_RISK_START, TIME_AT_RISK_END) & (events["event_date"] <= events["until"])
    outcome = events[at_risk].groupby("person_id")["event_date"].min().reindex(cohort.index)
    before = set(events.loc[days <= pd.Timedelta(0), "person_id"])

    reason = pd.Series(None, index=cohort.index, dtype="str")
    lost = (cohort["end"] < last_day) & ~(died_in_period & (cohort["death"] <= last_day))
    reason[lost & outcome.isna()] = "lost_to_follow_up"
    reason[cohort.index.isin(before)] = "outcome_before_index_known_later"
    reason[cohort["death"] <= cohort["index_date"]] = "death_before_index_known_later"

    made = pd.DataFrame({"index_date": cohort["index_date"], "reason": reason})
    made["y_true"] = outcome.notna().astype("Int64").mask(reason.notna())
    made["outcome_date"] = outcome.mask(reason.notna())
    return made.reset_index()[["person_id", "index_date", "y_true", "reason", "outcome_date"]]


def _events(inputs: Path, concept_set: str) -> pd.DataFrame:
    members = pd.read_parquet(
        inputs / "concept_set_member.parquet", filters=[("concept_set", "==", concept_set)]
    )
    events = pd.read_parquet(
        inputs / "clinical_event.parquet",
        columns=["person_id", "event_date", "available_date"],
        filters=[("domain", "==", "Condition"), ("concept_id", "in", members["concept_id"].tolist())],
    )
    return events.astype({"event_date": "datetime64[s]", "available_date": "datetime64[s]"})


def _deaths(inputs: Path) -> pd.DataFrame:
    deaths = pd.read_parquet(
        inputs / "clinical_event.parquet",
        columns=["person_id", "event_date", "available_date"],
        filters=[("domain", "==", "Death")],
    )
    deaths = deaths.sort_values(["person_id", "event_date", "available_date"]).drop_duplicates("person_id")
    deaths.columns = ["person_id", "death", "death_known"]
    return deaths.astype({"death": "datetime64[s]", "death_known": "datetime64[s]"})


def _full_years(birth: pd.Series, day: pd.Series) -> pd.Series:
    not_yet = (day.dt.month * 100 + day.dt.day) < (birth.dt.month * 100 + birth.dt.day)
    return day.dt.year - birth.dt.year - not_yet


if __name__ == "__main__":
    pa.set_cpu_count(2)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
