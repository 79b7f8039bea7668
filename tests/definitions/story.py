"""Tells the story of one person around one task: each date at, before or after an edge of that task."""

from dataclasses import dataclass

from definitions.chart import Chart
from definitions.day import Day, after
from definitions.entry import birthday
from definitions.task import Criterion, Task
from definitions.vocabulary import DAY_CARE, EMERGENCY, OUTPATIENT

FAR = 60  # days: how far a story looks into a window that is years long


@dataclass
class Story:
    """What has been decided so far; offsets are days after the index."""

    chart: Chart
    task: Task
    index: Day
    tar_end: int
    period_end: Day

    def day(self, offset: int) -> Day:
        """Return the day so many days after the index."""
        return after(self.index, offset)

    def near(self, *offsets: int) -> Day:
        """Return a day at one of the offsets, or a day beside it."""
        return self.day(self.chart.rng.choice(offsets) + self.chart.rng.choice((-1, 0, 0, 1)))


def tell(chart: Chart, task: Task, data_end: Day | None) -> None:
    """Write a person whose record lies around the edges of a task."""
    rng = chart.rng
    index = _index_day(chart, task, data_end)
    index = _person(chart, task, index)
    story = Story(chart, task, index, task.tar_end_days or 0, index)
    _entry(story)
    _periods(story)
    outcomes = _outcomes(story)
    for group in task.groups("require"):
        _require(story, rng.choice(group))
    for row in task.rows("forbid"):
        _forbid(story, row)
    for day in outcomes:
        for group in task.groups("confirm"):
            _confirm(story, rng.choice(group), day)
    _death(story, outcomes)
    _noise(story)


def _index_day(chart: Chart, task: Task, data_end: Day | None) -> Day:
    rng = chart.rng
    if task.landmark_date is not None:
        return task.landmark_date
    if data_end is not None and task.follow_up_policy != "negative" and chart.chance(0.12):
        length = task.tar_start_days if task.tar_end_days is None else task.tar_end_days
        return after(data_end, rng.choice((-1, 0, 0, 1)) - length - task.confirmation_days)
    if chart.chance(0.1):
        return rng.choice(
            (Day(2016, 2, 28), Day(2016, 2, 29), Day(2016, 3, 1), Day(2015, 2, 28), Day(2015, 3, 1))
        )
    return after(Day(2012, 1, 1), rng.randrange(1900))


def _person(chart: Chart, task: Task, index: Day) -> Day:
    """Write the person; return the index, which for a landmark age is a birthday."""
    rng = chart.rng
    low, high = task.age_min, task.age_max
    if task.landmark_age is not None:
        age = task.landmark_age
    elif (low is not None or high is not None) and chart.chance(0.3):
        age = rng.choice([age for age in (low, high and high + 1) if age is not None])
        index = index if task.landmark_date else after(index, 0)
    else:
        floor = 20 if low is None else low + 1
        age = rng.randint(floor, max(floor, floor + 25 if high is None else high - 1))
    month, day = (index.month, index.day) if chart.chance(0.5) else (rng.randint(1, 12), rng.randint(1, 28))
    if chart.chance(0.3):  # the day before the birthday, or the day after
        beside = after(index, rng.choice((-1, 1)))
        month, day = beside.month, beside.day
    if chart.chance(0.08):
        month, day = 2, 29
    year = index.year - age
    if (month, day) == (2, 29):
        year -= year % 4
    birth = (year, month, day)
    known_month, known_day = not chart.chance(0.08), not chart.chance(0.08)
    chart.world.write(
        "person",
        person_id=chart.person_id,
        gender_concept_id=_sex(chart, task),
        year_of_birth=None if chart.chance(0.02) else year,
        month_of_birth=month if known_month else None,
        day_of_birth=day if known_day and known_month else None,
        race_concept_id=0,
        ethnicity_concept_id=0,
    )
    if task.landmark_age is None:
        return index
    counted = (year, month if known_month else 1, day if known_month and known_day else 1)
    return (
        birthday(counted, task.landmark_age) if known_month else birthday((birth[0], 1, 1), task.landmark_age)
    )


def _sex(chart: Chart, task: Task) -> int:
    if task.sex_concept_id is not None and chart.chance(0.8):
        return task.sex_concept_id
    return chart.rng.choice((8507, 8532, 8507, 8532, 0, 8551))


def _entry(story: Story) -> None:
    chart, task, rng = story.chart, story.task, story.chart.rng
    if task.anchor == "landmark":
        return
    if task.anchor != "event":
        _stay(story)
        return
    row = rng.choice(task.rows("entry"))
    _entry_event(story, row, story.index)
    if chart.chance(0.15):  # a tie on the index day
        _entry_event(story, rng.choice(task.rows("entry")), story.index)
    if chart.chance(0.2):
        chart.match(row, story.near(-3, -1, -30), miss=True)
    again = 0.6 if task.entry_limit != "first_ever" else 0.25
    for _ in range(2):
        if chart.chance(again / 2):
            _entry_event(story, rng.choice(task.rows("entry")), story.near(1, 3, story.tar_end, 20))
    if chart.chance(0.12):
        _entry_event(story, row, story.near(-1, -10, -task.prior_observation_days))


def _entry_event(story: Story, row: Criterion, known: Day) -> None:
    visit = _partner_visit(story, row, known)
    if row.domain in ("Visit", "Visit end") or visit is not None:
        story.chart.match(row, known, visit=visit)
    else:
        story.chart.match(row, known, known=known)


def _stay(story: Story) -> None:
    """Write the stay of the index: one visit or several that touch, nest, reopen or have no end."""
    chart, task, rng = story.chart, story.task, story.chart.rng
    entry = task.rows("entry")[0]
    limits = [row.min_length_days for row in task.criteria if row.min_length_days]
    lengths = [
        0,
        1,
        2,
        4,
        *(n + step for n in limits for step in (-1, 0, 1)),
        *([6, 9] if task.tar_end_days is None else []),
    ]
    length = rng.choice(lengths)
    start = story.index if task.anchor == "visit_start" else after(story.index, -length)
    end = after(start, length)
    if task.tar_end == "visit_end":
        story.tar_end = length
    shape = rng.random()

    def visit(first: Day, last: Day | None) -> None:
        concept = chart.concept(entry.concept_set)
        to = None
        for row in task.criteria:
            if row.domain == "Visit end" and row.value_concept_set and chart.chance(0.35):
                to = chart.concept(row.value_concept_set, stranger=chart.chance(0.5))
        chart.shared_visits.setdefault(-1, []).append(chart.visit(concept, first, last, to))

    if shape < 0.5 or length == 0:
        visit(start, None if chart.chance(0.05) else end)
    elif shape < 0.7:  # two visits that touch, with a gap of 0, 1 or 2 days
        middle = after(start, rng.randrange(length))
        visit(start, middle)
        visit(min(end, after(middle, rng.choice((0, 1, 1, 2)))), end)
    elif shape < 0.8:  # nested, or the same start
        visit(start, end)
        visit(after(start, rng.randint(0, length)), after(start, length - rng.choice((0, 1))))
    elif shape < 0.88:
        visit(start, end)
        chart.visit(chart.concept(entry.concept_set, stranger=True), after(start, -1), after(end, 3))
    elif shape < 0.94:  # an end before its start
        visit(start, end)
        visit(after(start, rng.choice((0, 1))), after(start, -2))
    else:
        visit(start, end)
        repeated = {
            **chart.visits[-1],
            "visit_end_date": rng.choice((None, after(end, 1), after(end, -1), end)),
        }
        chart.visits.append(chart.world.write("visit_occurrence", **repeated))
    if chart.chance(0.3):  # another visit at a small distance before or after
        gap = rng.choice((1, 1, 2, 3))
        other = rng.choice((0, 0, 1, 3))
        if chart.chance(0.5):
            visit(after(end, gap), after(end, gap + other))
        else:
            visit(after(start, -gap - other), after(start, -gap))
    if chart.chance(0.1):
        chart.visit(
            rng.choice((EMERGENCY, OUTPATIENT, DAY_CARE)),
            story.near(-1, length),
            story.near(length, length + 1),
        )


def _periods(story: Story) -> None:
    chart, task, rng = story.chart, story.task, story.chart.rng
    prior, w = task.prior_observation_days, task.confirmation_days
    start = story.day(-max(prior, 30) - rng.randint(2, 500))
    if chart.chance(0.3):
        start = story.near(-prior, -prior, 0)
    reach = min(story.tar_end + w, 900)
    end = story.day(reach + rng.randint(2, 300))
    if chart.chance(0.3):
        end = story.near(
            0, task.tar_start_days, story.tar_end, story.tar_end, story.tar_end + w, story.tar_end + w
        )
    story.period_end = end
    _period(chart, start, end)
    if chart.chance(0.35):
        other = rng.choice(
            (
                (start, after(end, -1)),
                (start, after(end, 3)),
                (after(start, 1), after(end, 5)),
                (after(start, -9), after(end, -2)),
                (after(end, 1), after(end, 90)),
                (after(start, -60), after(start, -1)),
                (after(end, 1), after(end, -1)),
                (start, end),
            )
        )
        _period(chart, *other)


def _period(chart: Chart, start: Day, end: Day) -> None:
    chart.world.write(
        "observation_period",
        observation_period_id=next(chart.world.keys),
        person_id=chart.person_id,
        observation_period_start_date=start,
        observation_period_end_date=end,
        period_type_concept_id=32817,
    )


def _outcomes(story: Story) -> list[Day]:
    """Write outcomes, most of them at the edges of the time-at-risk; return the days of those at risk."""
    chart, task, rng = story.chart, story.task, story.chart.rng
    written = []
    values = task.outcome_kind == "value"
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        row = rng.choice(task.rows("outcome"))
        where = rng.random()
        first, last = task.tar_start_days, story.tar_end
        if where < 0.6:
            inner = [first, first, last, (first + last) // 2, first + 1, last - 1, min(first + FAR, last)]
            day = story.day(rng.choice([offset for offset in inner if first <= offset <= last] or [last]))
        elif where < 0.75:
            day = story.day(rng.choice((last + 1, last + 1, last + 2, first - 1, 0, 1)))
        elif where < 0.85:
            day = after(story.period_end, rng.choice((-1, 0, 1, 2)))
        else:
            _history(story, row)
            continue
        miss = chart.chance(0.15)
        chart.match(row, day, visit=_partner_visit(story, row, day), miss=miss)
        if not miss:
            written.append(day)
        if chart.chance(0.1):
            chart.match(row, day, visit=_partner_visit(story, row, day))
    if values and chart.chance(0.8):  # measured, with or without passing the threshold
        day = story.near(task.tar_start_days, story.tar_end, (task.tar_start_days + story.tar_end) // 2)
        chart.match(rng.choice(task.rows("outcome")), day, miss=chart.chance(0.8))
    return written


def _history(story: Story, row: Criterion) -> None:
    """Write an outcome at the edges of the washout or around the index, known by the index or later."""
    chart, rng = story.chart, story.chart.rng
    washout = story.task.washout_days
    day = story.near(0, 0, -(3 if washout is None else washout), -(3 if washout is None else washout))
    visit = _partner_visit(story, row, day)
    if row.domain in TABLE_DOMAINS and visit is None and chart.chance(0.5):
        chart.match(row, day, known=story.near(0, 1))
    else:
        chart.match(row, day, visit=visit, by=rng.choice((None, story.index)), miss=chart.chance(0.2))


TABLE_DOMAINS = ("Condition", "Drug", "Procedure", "Measurement", "Observation")


def _partner_visit(story: Story, row: Criterion, day: Day) -> int | None:
    """Return, for a row with `same_visit_as`, mostly the visit of an event of that other row."""
    chart, task = story.chart, story.task
    if row.same_visit_as is None or chart.chance(0.15):
        return None
    partner = next(other for other in task.criteria if other.order == row.same_visit_as)
    if partner.order not in chart.shared_visits or chart.chance(0.2):
        key = chart.visit(
            OUTPATIENT if chart.chance(0.7) else EMERGENCY, day, after(day, chart.rng.choice((0, 1, 2)))
        )
        if partner.domain in TABLE_DOMAINS:
            chart.match(partner, after(day, chart.rng.choice((-1, 0, 0, 1))), visit=key)
        elif chart.chance(0.8):
            chart.match(partner, day)
        else:
            return key
    return chart.rng.choice(chart.shared_visits[partner.order])


def _require(story: Story, row: Criterion) -> None:
    chart, rng = story.chart, story.chart.rng
    first = -20 if row.window_start_days is None else max(row.window_start_days, -FAR)
    last = min(row.window_end_days or 0, FAR)
    wanted = row.min_count or 0
    if row.max_count is not None and chart.chance(0.3):
        wanted = rng.randint(wanted, row.max_count + 1)
    elif chart.chance(0.1):
        wanted = max(0, wanted - 1)
    spots = [first, last, last - 1, first + 1, (first + last) // 2]
    inside = list(dict.fromkeys(spot for spot in spots if first <= spot <= last))
    rng.shuffle(inside)
    if chart.chance(0.2):
        inside.insert(0, rng.choice((first - 1, last + 1)))
    for offset in inside[:wanted]:
        day = story.day(offset)
        by = None if row.looks_ahead or chart.chance(0.15) else story.index
        chart.match(row, day, by=by, visit=_partner_visit(story, row, day), miss=chart.chance(0.07))
    if inside and wanted and chart.chance(0.2):  # the same day twice
        chart.match(row, story.day(inside[0]), by=story.index)


def _forbid(story: Story, row: Criterion) -> None:
    chart, rng = story.chart, story.chart.rng
    if not chart.chance(0.35):
        return
    first = -20 if row.window_start_days is None else max(row.window_start_days, -FAR)
    last = min(row.window_end_days or 0, FAR)
    day = story.day(rng.choice((first - 1, last + 1, last + 1, first, last)))
    chart.match(row, day, visit=_partner_visit(story, row, day), miss=chart.chance(0.3))


def _confirm(story: Story, row: Criterion, outcome: Day) -> None:
    chart, rng = story.chart, story.chart.rng
    first, last = max(row.window_start_days or 0, -FAR), min(row.window_end_days or 0, FAR)
    wanted = row.min_count or 0
    if row.max_count is not None and chart.chance(0.25):
        wanted = row.max_count + rng.choice((0, 1))
    elif not chart.chance(0.75):
        return
    for _ in range(wanted):
        offset = rng.choice(
            (first, first + 1, last, last, last - 1, last + 1, first - 1, (first + last) // 2, 1)
        )
        day = after(outcome, offset)
        visit = _partner_visit(story, row, outcome)
        chart.match(row, day, visit=visit, miss=chart.chance(0.07))


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
    if chart.chance(0.06):
        chart.visit(9201, None, story.near(0, 3))
    if chart.chance(0.3):
        table = rng.choice([name for name, rows in chart.world.tables.items() if name != "person" and rows])
        own = [row for row in chart.world.tables[table] if row["person_id"] == chart.person_id]
        if own:
            chart.world.write(table, **rng.choice(own))
