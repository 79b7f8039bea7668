"""The calendar of a source: the last day that a time-at-risk may have, unless dates are shifted."""

NO_END = "The study gives its data no end: dates say nothing of the calendar."

# Null where dates are shifted for each person.
LAST_DAY = "select last_tar_end_date from study_period"


def full_years(birth: str, day: str) -> str:
    """Return the SQL of completed years; who is born on 29 February completes one on 1 March.

    `date_sub` of DuckDB completes it on 28 February.
    """
    before = f"(month({day}), day({day})) < (month({birth}), day({birth}))"
    return f"(year({day}) - year({birth}) - ({before})::integer)"
