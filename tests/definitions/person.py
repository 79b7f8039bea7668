"""Tells the story of one person around one task: each date at, before or after an edge of that task."""

from definitions.chart import Chart
from definitions.day import Day, after
from definitions.story import TABLE_DOMAINS, Story
from definitions.story_entry import write_entry
from definitions.story_events import write_confirmations, write_criteria, write_outcomes
from definitions.story_person import write_periods, write_person
from definitions.task import Task
from definitions.vocabulary import OUTPATIENT


def tell(chart: Chart, task: Task, last_closed: Day | None) -> None:
    """Write a person whose record lies around the edges of a task."""
    index = write_person(chart, task, _index_day(chart, task, last_closed))
    story = Story(chart, task, index, task.tar_end_days or 0, index, qualifies=chart.chance(0.5))
    write_entry(story)
    write_periods(story)
    outcomes = write_outcomes(story)
    write_criteria(story)
    write_confirmations(story, outcomes)
    _death(story, outcomes)
    _noise(story)


def _index_day(chart: Chart, task: Task, last_closed: Day | None) -> Day:
    rng = chart.rng
    if task.landmark_date is not None:
        return task.landmark_date
    if last_closed is not None and task.follow_up_policy != "negative" and chart.chance(0.12):
        length = task.tar_start_days if task.tar_end_days is None else task.tar_end_days
        return after(last_closed, rng.choice((-1, 0, 0, 1)) - length - task.confirmation_days)
    if chart.chance(0.1):
        return after(Day(rng.choice((2015, 2016)), 3, 1), rng.choice((-2, -1, 0)))
    return after(Day(2012, 1, 1), rng.randrange(1900))


def _death(story: Story, outcomes: list[Day]) -> None:
    chart, task, rng = story.chart, story.task, story.chart.rng
    if not chart.chance(0.12 if task.outcome_kind == "death" else 0.3):
        return
    edges = [
        story.near(0, 0, -2),
        story.near(task.tar_start_days, story.tar_end, story.tar_end),
        after(story.period_end, rng.choice((-1, 0, 1))),
        story.near(story.tar_end + task.confirmation_days),
        *(after(day, rng.choice((-1, 0, 1))) for day in outcomes),
    ]
    day = rng.choice(edges)
    chart.death(day)
    if chart.chance(0.3):
        chart.death(after(day, rng.choice((0, -1, 1, 5))))


def _noise(story: Story) -> None:
    """Write what must change nothing, or only what is counted: other visits, repeated rows, broken rows."""
    chart, rng = story.chart, story.chart.rng
    for _ in range(rng.choice((0, 0, 1, 2))):
        start = rng.choice((story.near(0, 1, 5, 12, -5), after(story.period_end, rng.choice((-1, 0, 1)))))
        chart.visit(
            rng.choice((OUTPATIENT, OUTPATIENT, 0)), start, rng.choice((None, start, after(start, 1)))
        )
    if chart.chance(0.3):
        chart.event(rng.choice(TABLE_DOMAINS), 0, story.near(0, -1), visit=chart.some_visit(story.index))
    if chart.chance(0.06):
        row = rng.choice([row for row in story.task.criteria if row.domain in TABLE_DOMAINS] or [None])
        if row is not None:
            chart.match(row, Day(1899, 12, 31), visit=None)
    if chart.chance(0.06):
        chart.event(rng.choice(TABLE_DOMAINS), 0, None)
    if chart.chance(0.04):
        chart.death(None)
    if chart.chance(0.06):
        chart.visit(9201, None, story.near(0, 3))
    if chart.chance(0.3):
        table = rng.choice([name for name, rows in chart.world.tables.items() if name != "person" and rows])
        own = [row for row in chart.world.tables[table] if row["person_id"] == chart.person_id]
        if own:
            chart.world.write(table, **rng.choice(own))
