"""Small random persons whose dates lie at the edges of every window of dhf_1y.

The simulated source is what studies look like, and few of its dates lie on an edge. Here most do: periods
that begin 364, 365 or 366 days before the index; outcomes, deaths and losses on the first and last day at
risk and on each other's day; birthdays on the index; rows known later; more than one period.
"""

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

# Where the road of labels begins: what comes from these tables and leads to `label` is run and timed.
BEGINNING = ("clinical_event", "person", "observed_period")
DATA_END = date(2020, 12, 31)
TYPE_2_DIABETES, HEART_FAILURE, OTHER = 201826, 316139, 4112853
LEAP_BIRTHS = (date(1996, 2, 29), date(2000, 2, 29))


def boundary_rows(persons: int, seed: int) -> dict[str, pd.DataFrame]:
    """Return clinical_event, person and observed_period with what dhf_1y needs; dates are `date`."""
    rng = np.random.default_rng(seed)
    people = [_person(rng, number) for number in range(1, persons + 1)]
    rows = {name: pd.DataFrame([r for p in people for r in p[name]]) for name in BEGINNING}
    events = rows["clinical_event"].sort_values(
        ["person_id", "available_date"], kind="stable", ignore_index=True
    )
    numbers = events.groupby("person_id").cumcount() + 1
    return {**rows, "clinical_event": events.assign(event_id=events.index, event_no=numbers)}


def make_boundary(simulated: Path, inputs: Path, persons: int, seed: int) -> Path:
    """Write the inputs to `inputs`: three tables anew, the catalogue's from the simulated world's inputs."""
    rows = boundary_rows(persons, seed)
    inputs.mkdir(parents=True, exist_ok=True)
    for file in simulated.glob("*.parquet"):
        if file.stem in BEGINNING:
            _write(rows[file.stem], file, inputs / file.name)
        else:
            shutil.copyfile(file, inputs / file.name)
    return inputs


def _person(rng: np.random.Generator, number: int) -> dict[str, list[dict[str, Any]]]:
    index = date(2015, 1, 1) + timedelta(days=int(rng.integers(0, 1000)))
    birth = _day(rng, _years_before(index, 18), (-1, 0, 1))
    kind = rng.random()
    if kind < 0.15:  # the end of the data
        index = _day(rng, DATA_END, (-366, -365, -364))
    elif kind < 0.25:  # a birthday on 29 February
        birth = LEAP_BIRTHS[int(rng.integers(len(LEAP_BIRTHS)))]
        index = date(birth.year + 18, *[(2, 28), (3, 1), (3, 2)][int(rng.integers(3))])
    elif kind < 0.7:
        birth = date(1950, 6, 15)
    periods = _periods(rng, index)
    end = max(p[1] for p in periods)
    death = _death(rng, index, end)
    marks = [index, index, end] if death is None else [index, index, end, death]
    events = [_event("Condition", TYPE_2_DIABETES, _day(rng, index, (0, 0, -3)), index)]
    if death is not None:
        events.append(_event("Death", 0, death, death + _lag(rng)))
    for _ in range(int(rng.integers(0, 4))):
        near = marks[int(rng.integers(len(marks)))]
        offsets = (-400, -1, 0, 1, 2, 364, 365, 366) if near is index else (-1, 0, 1)
        day = _day(rng, near, offsets)
        concept = HEART_FAILURE if rng.random() < 0.85 else OTHER
        events.append(
            _event("Condition" if rng.random() < 0.95 else "Observation", concept, day, day + _lag(rng))
        )
    if rng.random() < 0.3:  # happened before the entry or after it, known later
        known = _day(rng, index, (1, 30))
        events.append(_event("Condition", TYPE_2_DIABETES, _day(rng, known, (-40, -1, 0)), known))
    return {
        "clinical_event": [{"person_id": number, **event} for event in events],
        "person": [
            {
                "person_id": number,
                "gender_concept_id": 8507,
                "birth_date": birth if rng.random() < 0.97 else None,
                "year_of_birth": birth.year,
            }
        ],
        "observed_period": [
            {
                "person_id": number,
                "observation_period_start_date": start,
                "observation_period_end_date": min(last, DATA_END),
            }
            for start, last in sorted(set(periods))
            if start <= min(last, DATA_END)
        ],
    }


def _periods(rng: np.random.Generator, index: date) -> list[tuple[date, date]]:
    start = _day(rng, index, (-2000, -366, -365, -364, -1, 0, 1))
    end = max(start, _day(rng, index, (-1, 0, 100, 364, 365, 366, 1000)))
    kind = rng.random()
    if kind < 0.1:
        return [(start, end), (end + timedelta(days=1), end + timedelta(days=500))]
    if kind < 0.2:
        return [(start - timedelta(days=500), start - timedelta(days=1)), (start, end)]
    if kind < 0.3:
        other = _day(rng, start, (-100, 0, 50))
        return [(start, end), (other, max(other, _day(rng, end, (-50, 0, 200))))]
    return [(start, end)]


def _death(rng: np.random.Generator, index: date, end: date) -> date | None:
    if rng.random() < 0.5:
        return None
    if rng.random() < 0.5:
        return _day(rng, index, (-1, 0, 1, 100, 364, 365, 366))
    return _day(rng, end, (-1, 0, 1))


def _event(domain: str, concept: int, day: date, known: date) -> dict[str, Any]:
    table = {"Death": "death", "Observation": "observation"}.get(domain, "condition_occurrence")
    return {
        "domain": domain,
        "concept_id": concept,
        "source_concept_id": 0,
        "event_date": day,
        "available_date": known,
        "source_table": table,
    }


def _write(rows: pd.DataFrame, like: Path, file: Path) -> None:
    """Write rows with the columns and types of the file `like`; a column not given is null."""
    with duckdb.connect() as connection:
        connection.execute(f"create table typed as from '{like}' limit 0")
        connection.register("given", rows)
        connection.execute("insert into typed by name from given")
        connection.execute(f"copy typed to '{file}'")


def _day(rng: np.random.Generator, day: date, offsets: tuple[int, ...]) -> date:
    return day + timedelta(days=int(rng.choice(offsets)))


def _lag(rng: np.random.Generator) -> timedelta:
    return timedelta(days=int(rng.choice((0, 0, 0, 1, 30))))


def _years_before(day: date, years: int) -> date:
    return date(day.year - years, day.month, min(day.day, 28))
