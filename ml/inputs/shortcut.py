"""Shortcuts as count features: how often a person was seen, and when the index is, without what was found.

An arm on them says how much of another arm's discrimination is no medicine. They lie in the columns of count
features (`ml.inputs.count`), made once in SQL and, to be recomputed, once in Python.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ml.inputs.view import CountOptions

# Days since the oldest and the newest event count those that the view lets pass.
UTILISATION = """
create temp table long as
with
windowed as (
    select
        event.example_id,
        time_window.days as window_days,
        count(distinct event.visit_no)::double as n_visits,
        count(distinct event.concept_id)::double as n_concepts,
        count(distinct event.days_before)::double as n_days
    from event
    inner join unnest($windows) as time_window(days) on event.days_before <= time_window.days
    group by event.example_id, time_window.days
)
select
    example_id,
    'n_visits/' || window_days as feature,
    n_visits as value
from windowed
union all
select
    example_id,
    'n_concepts/' || window_days as feature,
    n_concepts as value
from windowed
union all
select
    example_id,
    'n_days/' || window_days as feature,
    n_days as value
from windowed
union all
select
    example_id,
    'days_since/oldest' as feature,
    max(days_before)::double as value
from event
group by example_id
union all
select
    example_id,
    'days_since/newest' as feature,
    min(days_before)::double as value
from event
group by example_id
"""

# Indicators, Monday is 1.
CALENDAR = """
create temp table long as
select
    example_id,
    unnest([
        'index_year/' || year(index_date),
        'index_month/' || month(index_date),
        'index_weekday/' || isodow(index_date)
    ]) as feature,
    1.0::double as value
from example
"""


def utilisation_row(events: Iterable[Mapping[str, Any]], options: CountOptions) -> dict[str, float]:
    """Return the features of one example from its events (visit_no, concept_id, days_before)."""
    own = list(events)
    row: dict[str, float] = {}
    for window in options.windows_days:
        recent = [event for event in own if event["days_before"] <= window]
        for name, column in (("visits", "visit_no"), ("concepts", "concept_id"), ("days", "days_before")):
            row[f"n_{name}/{window}"] = float(len({event[column] for event in recent}))
    if own:
        row["days_since/oldest"] = float(max(event["days_before"] for event in own))
        row["days_since/newest"] = float(min(event["days_before"] for event in own))
    return row


def calendar_row(index: date) -> dict[str, float]:
    """Return the features of one example from its index date.

    >>> calendar_row(date(2026, 11, 21))
    {'index_year/2026': 1.0, 'index_month/11': 1.0, 'index_weekday/6': 1.0}
    """
    parts = {"year": index.year, "month": index.month, "weekday": index.isoweekday()}
    return {f"index_{name}/{value}": 1.0 for name, value in parts.items()}
