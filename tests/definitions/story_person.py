"""The person of a story: birth and sex around the limits, observation periods around the windows."""

from definitions.chart import Chart
from definitions.day import Day, after
from definitions.entry import birthday
from definitions.story import Story
from definitions.task import Task


def write_person(chart: Chart, task: Task, index: Day) -> Day:
    """Write the person and return the index, which for a landmark age is the birthday."""
    rng = chart.rng
    beside = after(index, rng.choice((-1, 0, 0, 0, 1)))  # around a birthday, half of the time
    month, day = (beside.month, beside.day) if chart.chance(0.6) else (rng.randint(1, 12), rng.randint(1, 28))
    if chart.chance(0.08):
        month, day = 2, 29
    year = index.year - _age(chart, task)
    if (month, day) == (2, 29):
        year -= year % 4
    month_known, day_known = not chart.chance(0.08), not chart.chance(0.1)
    chart.world.write(
        "person",
        person_id=chart.person_id,
        gender_concept_id=_sex(chart, task),
        year_of_birth=None if chart.chance(0.02) else year,
        month_of_birth=month if month_known else None,
        day_of_birth=day if month_known and day_known else None,
        race_concept_id=0,
        ethnicity_concept_id=0,
    )
    if task.landmark_age is None:
        return index
    if not month_known:
        month, day = 1, 1
    return birthday((year, month, day if day_known else 1), task.landmark_age)


def _age(chart: Chart, task: Task) -> int:
    """Return an age at the limits, where the birthday decides, or well between them."""
    low, high = task.age_min, task.age_max
    if task.landmark_age is not None:
        return task.landmark_age
    limits = [age for age in (low, high and high + 1) if age is not None]
    if limits and chart.chance(0.35):
        return chart.rng.choice(limits)
    youngest = 20 if low is None else low + 1
    oldest = youngest + 25 if high is None else high - 1
    return chart.rng.randint(min(youngest, oldest), oldest)


def _sex(chart: Chart, task: Task) -> int:
    if task.sex_concept_id is not None and chart.chance(0.8):
        return task.sex_concept_id
    return chart.rng.choice((8507, 8532, 8507, 8532, 0, 8551))


def write_periods(story: Story) -> None:
    """Write the period of the index, its ends near an edge or well beyond, and sometimes another one."""
    chart, task, rng = story.chart, story.task, story.chart.rng
    prior, w = task.prior_observation_days, task.confirmation_days
    start = story.day(-max(prior, 30) - rng.randint(2, 500))
    if chart.chance(0.3):
        start = story.day(-prior) if story.qualifies else story.near(-prior, -prior, 0)
    reach = min(story.tar_end + w, 900)
    end = story.day(reach + rng.randint(2, 300))
    if chart.chance(0.35):
        closed = story.tar_end + w
        end = story.near(0, task.tar_start_days, story.tar_end, story.tar_end, closed, closed)
    story.period_end = end
    _period(chart, start, end)
    if chart.chance(0.35):
        others = (
            (start, after(end, -1)),
            (start, after(end, 3)),
            (after(start, 1), after(end, 5)),
            (after(start, -9), after(end, -2)),
            (after(end, 1), after(end, 90)),
            (after(start, -60), after(start, -1)),
            (after(end, 1), after(end, -1)),
            (start, end),
        )
        _period(chart, *rng.choice(others))


def _period(chart: Chart, start: Day, end: Day) -> None:
    chart.world.write(
        "observation_period",
        observation_period_id=next(chart.world.keys),
        person_id=chart.person_id,
        observation_period_start_date=start,
        observation_period_end_date=end,
        period_type_concept_id=32817,
    )
