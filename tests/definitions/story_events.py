"""What a story's criteria read: outcomes, requirements, exclusions and confirmations at the edges."""

from dataclasses import replace

from definitions.day import Day, after
from definitions.story import FAR, TABLE_DOMAINS, Story
from definitions.task import Criterion
from definitions.vocabulary import EMERGENCY


def write_outcomes(story: Story) -> list[Day]:
    """Write outcomes, most of them at the edges of the time-at-risk; return the days of those that match."""
    chart, task, rng = story.chart, story.task, story.chart.rng
    written = []
    sparing = task.outcome_kind in ("death", "value") and len(task.rows("outcome")) == 1
    how_many = (0, 1, 1) if sparing else (0, 1, 1, 1, 2, 3)
    for _ in range(rng.choice(how_many)):
        row = rng.choice(task.rows("outcome"))
        day = _outcome_day(story)
        if day is None:
            _history(story, row)
            continue
        miss = chart.chance(0.12)
        chart.match(row, day, visit=story.partner_visit(row, day), miss=miss)
        if not miss:
            written.append(day)
        if chart.chance(0.1):
            chart.match(row, day, visit=story.partner_visit(row, day))
    if task.outcome_kind == "value" and chart.chance(0.8):
        _measured(story)
    return written


def _outcome_day(story: Story) -> Day | None:
    """Return a day in the time-at-risk, beside it or near the period's end; None for a day in history."""
    rng = story.chart.rng
    first, last = story.task.tar_start_days, story.tar_end
    where = rng.random()
    if where < 0.62:
        spots = (first, first, last, (first + last) // 2, first + 1, last - 1, min(first + FAR, last))
        return story.day(rng.choice([spot for spot in spots if first <= spot <= last] or [last]))
    if where < 0.76:
        return story.day(rng.choice((last + 1, last + 1, last + 2, first - 1, 0, 1)))
    if where < 0.86:
        return after(story.period_end, rng.choice((-1, 0, 1, 2)))
    return None


def _measured(story: Story) -> None:
    """Write values in the time-at-risk that do not pass the threshold, or just do not count."""
    chart, task, rng = story.chart, story.task, story.chart.rng
    row = rng.choice(task.rows("outcome"))
    middle = (task.tar_start_days + story.tar_end) // 2
    day = story.near(task.tar_start_days, story.tar_end, story.tar_end, middle, middle)
    likely = ("value",) if row.value_concept_set is None else ("value", "answer")
    chart.match(row, day, miss=True, fault=rng.choice(likely) if chart.chance(0.7) else None)


def _history(story: Story, row: Criterion) -> None:
    """Write an outcome at the edges of the washout or around the index, known by the index or later."""
    chart, rng = story.chart, story.chart.rng
    washout = 3 if story.task.washout_days is None else story.task.washout_days
    day = story.near(0, 0, -washout, -washout)
    visit = story.partner_visit(row, day)
    way = rng.random()
    if row.domain in TABLE_DOMAINS and visit is None and way < 0.35:
        chart.match(row, day, known=story.near(0, 1))
    elif row.domain in TABLE_DOMAINS and visit is None and way < 0.7:  # in a stay that ends around the index
        stay = chart.visit(EMERGENCY, after(day, -1), max(day, story.day(rng.choice((0, 1, 1, 3)))))
        chart.match(row, day, visit=stay)
    else:
        chart.match(row, day, visit=visit, by=rng.choice((None, story.index)), miss=chart.chance(0.2))


def write_criteria(story: Story) -> None:
    """Write what the `require` and `forbid` rows count."""
    for group in story.task.groups("require"):
        _require(story, story.chart.rng.choice(group))
    for row in story.task.rows("forbid"):
        if story.amiss(0.5) or story.chart.chance(0.1):
            _forbid(story, row)


def _require(story: Story, row: Criterion) -> None:
    chart, rng = story.chart, story.chart.rng
    first, last = _window(row)
    wanted = row.min_count or 0
    if row.max_count is not None and story.amiss(0.5):
        wanted = rng.randint(wanted, row.max_count + 1)
    elif story.amiss(0.15):
        wanted = max(0, wanted - 1)
    spots = (first, last, last - 1, first + 1, (first + last) // 2)
    inside = list(dict.fromkeys(spot for spot in spots if first <= spot <= last))
    rng.shuffle(inside)
    if story.qualifies and not row.looks_ahead:  # far enough before the index for any lag
        inside.sort(key=lambda spot: spot > -4)
    if story.amiss(0.25):
        inside.insert(0, rng.choice((first - 1, last + 1)))
    for offset in inside[:wanted]:
        day = story.day(offset)
        by = None if row.looks_ahead or story.amiss(0.2) else story.index
        chart.match(row, day, by=by, visit=story.partner_visit(row, day), miss=story.amiss(0.1))
    if inside and wanted and chart.chance(0.15):  # the same day twice
        chart.match(row, story.day(inside[0]), by=story.index)


def _forbid(story: Story, row: Criterion) -> None:
    chart, rng = story.chart, story.chart.rng
    first, last = _window(row)
    inside = () if story.qualifies else (first, last)
    day = story.day(rng.choice((first - 1, last + 1, last + 1, *inside)))
    chart.match(row, day, visit=story.partner_visit(row, day), miss=chart.chance(0.3))


def _window(row: Criterion) -> tuple[int, int]:
    first = -20 if row.window_start_days is None else max(row.window_start_days, -FAR)
    return first, min(row.window_end_days or 0, FAR)


def write_confirmations(story: Story, outcomes: list[Day]) -> None:
    """Write what the `confirm` rows count around each outcome, whatever became of the other criteria."""
    story = replace(story, qualifies=story.chart.chance(0.5))
    for day in outcomes:
        for group in story.task.groups("confirm"):
            _confirm(story, story.chart.rng.choice(group), day)


def _confirm(story: Story, row: Criterion, outcome: Day) -> None:
    chart, rng = story.chart, story.chart.rng
    first, last = max(row.window_start_days or 0, -FAR), min(row.window_end_days or 0, FAR)
    wanted = row.min_count or 0
    if row.max_count is not None and story.amiss(0.7):
        wanted = row.max_count + rng.choice((0, 1))
    elif story.amiss(0.4):
        return
    spots = [first, first + 1, last, last, last - 1, (first + last) // 2]
    spots = [spot for spot in spots if first <= spot <= last]
    if not story.qualifies:
        spots += [last + 1, first - 1]
    for _ in range(wanted):
        day = after(outcome, rng.choice(spots))
        chart.match(row, day, visit=story.partner_visit(row, outcome), miss=story.amiss(0.1))
