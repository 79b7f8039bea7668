"""Where an input ends: days that it reads too far (L01), and the index day itself (L02)."""

import numpy as np

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import replace_columns
from leakage.site import Site
from ml.inputs import examples

CUT_DATE = "cohort.index_date + case task_rule.index_day_input when 'include' then 1 else 0 end as cut_date"
INPUT = "and event.event_no between example_input.first_event_no and example_input.last_event_no"
OF_DAYS = "::integer as days_before"
DAYS = f"date_diff('day', event.event_date, example.index_date::date){OF_DAYS}"


@plant("L01", level="code", task="long_los", hurts=True)
def whole_index_stay_is_read(site: Site, rng: np.random.Generator) -> None:
    """The input is joined by visit, so it holds all rows of the stay at whose beginning it should end."""
    site.mutate(
        "example_input",
        CUT_DATE,
        """
        coalesce(
            (
                select max(v.visit_end_date)
                from "small"."main"."stg_omop__visit_occurrence" as v
                where
                    v.person_id = cohort.person_id
                    and v.visit_start_date <= cohort.index_date
                    and v.visit_end_date > cohort.index_date
            ),
            cohort.index_date
        ) + case task_rule.index_day_input when 'include' then 1 else 0 end as cut_date
        """,
    )
    site.rebuild("source")


@plant("L01", level="code", task="dhf_1y")
def day_and_month_swapped(site: Site, rng: np.random.Generator) -> None:
    """The index date went through a text and came back with day and month swapped, where both can be."""
    site.mutate(
        "example_input",
        CUT_DATE,
        """
        case
            when day(cohort.index_date) <= 12
                then make_date(year(cohort.index_date), day(cohort.index_date), month(cohort.index_date))
            else cohort.index_date
        end + case task_rule.index_day_input when 'include' then 1 else 0 end as cut_date
        """,
    )
    site.rebuild("source")


@plant("L01", level="code", task="dhf_1y")
def nearest_laboratory_result(site: Site, rng: np.random.Generator) -> None:
    """Results are joined as of the nearest day, so that one of the following month stands for the latest."""
    nearest = (
        "and (event.event_no between example_input.first_event_no and example_input.last_event_no"
        " or (event.domain = 'Measurement' and event.available_date >= example.index_date::date"
        " and event.available_date < example.index_date::date + 30))"
    )
    text = examples.EVENT
    distance = f"abs({DAYS.removesuffix(OF_DAYS)}){OF_DAYS}"
    for old, new in ((INPUT, nearest), (DAYS, distance)):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    site.code["ml.inputs.examples.EVENT"] = text
    site.rebuild("published")


@plant("L02", level="code", task="paca_1y")
def rows_above_the_entry_row(site: Site, rng: np.random.Generator) -> None:
    """The input is all rows above that of the entry event in table order, those of the same day too."""
    site.mutate(
        "example_input",
        "cohort.person_id, cohort.index_date +",
        "cohort.person_id, cohort.entry_event_id, cohort.index_date +",
    )
    site.mutate(
        "example_input",
        "known_day.last_event_no from chosen",
        """
        greatest(
            known_day.last_event_no,
            (
                select nullif(max(e.event_no) - 1, 0)
                from clinical_event as e
                where e.person_id = chosen.person_id and e.event_id = chosen.entry_event_id
            )
        ) as last_event_no from chosen
        """,
    )
    site.rebuild("source")


@plant("L02", level="data", task="dhf_1y")
def results_in_another_time_zone(site: Site, rng: np.random.Generator) -> None:
    """Midnight in UTC was written as local time, so that every result bears the day before its own."""
    replace_columns(site, "measurement", "cast(measurement_date - 1 as date) as measurement_date")
    site.rebuild("source")
