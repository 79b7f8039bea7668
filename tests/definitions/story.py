"""What has been decided of one person's story: everything is placed relative to the index of one task."""

from dataclasses import dataclass

from definitions.chart import Chart
from definitions.day import Day, after
from definitions.task import Criterion, Task
from definitions.vocabulary import EMERGENCY, OUTPATIENT

FAR = 60  # days: how far a story looks into a window that is years long
TABLE_DOMAINS = ("Condition", "Drug", "Procedure", "Measurement", "Observation")


@dataclass
class Story:
    """A person around an index; `tar_end` is days after it, `qualifies` asks for criteria that pass."""

    chart: Chart
    task: Task
    index: Day
    tar_end: int
    period_end: Day
    qualifies: bool

    def day(self, offset: int) -> Day:
        """Return the day so many days after the index."""
        return after(self.index, offset)

    def near(self, *offsets: int) -> Day:
        """Return a day at one of the offsets, or a day beside it."""
        return self.day(self.chart.rng.choice(offsets) + self.chart.rng.choice((-1, 0, 0, 1)))

    def amiss(self, probability: float) -> bool:
        """Return whether something is to go wrong: never for a person who qualifies."""
        return not self.qualifies and self.chart.chance(probability)

    def partner_visit(self, row: Criterion, day: Day) -> int | None:
        """Return, for a row with `same_visit_as`, mostly the visit of an event of that other row."""
        if row.same_visit_as is None or self.amiss(0.15):
            return None
        chart, shared = self.chart, self.chart.shared_visits
        partner = next(other for other in self.task.criteria if other.order == row.same_visit_as)
        anew = 0.2 if partner.role != "outcome" else 0.8
        if partner.order not in shared or chart.chance(anew):
            concept = OUTPATIENT if chart.chance(0.7) else EMERGENCY
            key = chart.visit(concept, day, after(day, chart.rng.choice((0, 1, 2))))
            if partner.domain in TABLE_DOMAINS:
                beside = chart.rng.choice((-1, 1)) if self.amiss(0.4) else 0
                chart.match(partner, after(day, beside), visit=key)
                return key
            if chart.chance(0.2):
                return key
            chart.match(partner, day)
        return chart.rng.choice(shared[partner.order])
