"""The entry of a story: an event known on the index day, or a stay that starts or ends there."""

from definitions.day import Day, after
from definitions.story import Story
from definitions.task import Criterion
from definitions.vocabulary import DAY_CARE, EMERGENCY, OUTPATIENT


def write_entry(story: Story) -> None:
    """Write what makes the index, and what might make others."""
    if story.task.anchor == "event":
        _events(story)
    elif story.task.anchor != "landmark":
        _stay(story)


def _events(story: Story) -> None:
    chart, task, rng = story.chart, story.task, story.chart.rng
    row = rng.choice(task.rows("entry"))
    _event(story, row, story.index)
    if chart.chance(0.15):  # a tie on the index day
        _event(story, rng.choice(task.rows("entry")), story.index)
    if chart.chance(0.2):
        chart.match(row, story.near(-3, -1, -30), miss=True)
    for _ in range(2):
        if chart.chance(0.12 if task.entry_limit == "first_ever" else 0.3):
            _event(story, rng.choice(task.rows("entry")), story.near(1, 3, story.tar_end, 20))
    if story.amiss(0.2):
        _event(story, row, story.near(-1, -10, -task.prior_observation_days))


def _event(story: Story, row: Criterion, known: Day) -> None:
    visit = story.partner_visit(row, known)
    if row.domain in ("Visit", "Visit end") or visit is not None:
        story.chart.match(row, known, visit=visit)
    else:
        story.chart.match(row, known, known=known)


def _stay(story: Story) -> None:
    """Write the stay of the index: one visit, or several that touch, nest, reopen or have no end."""
    chart, task, rng = story.chart, story.task, story.chart.rng
    length = rng.choice(_lengths(story))
    start = story.index if task.anchor == "visit_start" else story.day(-length)
    end = after(start, length)
    if task.tar_end == "visit_end":
        story.tar_end = length
    shape = rng.random()
    if shape < 0.5 or length == 0:
        _visit(story, start, None if story.amiss(0.1) else end)
    elif shape < 0.7:  # two visits that touch, with a gap of 0, 1 or 2 days
        middle = after(start, rng.randrange(length))
        _visit(story, start, middle)
        _visit(story, min(end, after(middle, rng.choice((0, 1, 1, 2)))), end)
    elif shape < 0.8:  # nested, or the same start
        _visit(story, start, end)
        _visit(story, after(start, rng.randint(0, length)), after(start, length - rng.choice((0, 1))))
    elif shape < 0.88:  # another kind of visit around it
        _visit(story, start, end)
        other = chart.concept(task.rows("entry")[0].concept_set, stranger=True)
        chart.visit(other, after(start, -1), after(end, 3))
    elif shape < 0.94:  # an end before its start
        _visit(story, start, end)
        _visit(story, after(start, rng.choice((0, 1))), after(start, -2))
    else:
        _visit(story, start, end)
        chart.repeat_visit(rng.choice((None, after(end, 1), after(end, -1), end)))
    if chart.chance(0.3):  # another visit at a small distance before or after
        gap, other = rng.choice((1, 1, 2, 3)), rng.choice((0, 0, 1, 3))
        if chart.chance(0.5):
            _visit(story, after(end, gap), after(end, gap + other))
        else:
            _visit(story, after(start, -gap - other), after(start, -gap))
    if chart.chance(0.1):
        first = story.near(-1, length)
        chart.visit(rng.choice((EMERGENCY, OUTPATIENT, DAY_CARE)), first, story.near(length, length + 1))


def _lengths(story: Story) -> list[int]:
    limits = [row.min_length_days for row in story.task.criteria if row.min_length_days]
    around = [limit + step for limit in limits for step in (-1, 0, 1)]
    return [0, 1, 2, 4, *around, *(() if story.task.tar_end_days else (6, 9))]


def _visit(story: Story, first: Day, last: Day | None) -> None:
    chart = story.chart
    discharged_to = None
    for row in story.task.criteria:
        if row.domain == "Visit end" and row.value_concept_set and story.amiss(0.5):
            discharged_to = chart.concept(row.value_concept_set, stranger=chart.chance(0.3))
    chart.visit(chart.concept(story.task.rows("entry")[0].concept_set), first, last, discharged_to)
