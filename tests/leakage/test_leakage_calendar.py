"""Completed years as the cohort's definition counts them, against counting birthdays by hand."""

from datetime import date, timedelta

import duckdb
import numpy as np
import pytest

from ml.leakage.record.calendar import full_years


def birthdays(birth: date, day: date) -> int:
    """Count the birthdays after birth up to a day; that of 29 February is on 1 March in other years."""
    passed = 0
    for year in range(birth.year + 1, day.year + 1):
        try:
            own = birth.replace(year=year)
        except ValueError:
            own = date(year, 3, 1)
        passed += own <= day
    return passed


@pytest.mark.parametrize(
    "birth", [date(1944, 2, 29), date(1944, 2, 28), date(1944, 3, 1), date(1950, 12, 31)]
)
def test_completed_years_are_the_birthdays_that_were(birth):
    days = np.random.default_rng(5).integers(0, 30_000, 300)
    near = [
        date(year, month, day) for year in (2020, 2021) for month, day in ((2, 28), (3, 1), (12, 31), (1, 1))
    ]
    for day in [birth + timedelta(days=int(n)) for n in days] + near:
        (years,) = duckdb.execute(f"select {full_years('$birth::date', '$day::date')}",
                                  {"birth": birth, "day": day}).fetchall()[0]  # fmt: skip
        assert years == birthdays(birth, day)
