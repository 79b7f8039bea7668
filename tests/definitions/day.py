"""Calendar days."""

from datetime import date, timedelta

Day = date


def after(day: Day, number: int) -> Day:
    """Return the day so many days after a day, before it if negative."""
    return day + timedelta(days=number)
