"""Cases and others come to the table by different ways: L15, L16, L32, L33, L37."""

import numpy as np

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import CLINICAL, DATES, drawn, file_of
from leakage.site import Site
from ml.inputs.record import Event, Record, admitted
from ml.inputs.view import Level

MOVED = "else eligible.index_date end as example_date"
HEART_FAILURE = "(316139, 4229440)"
ROW_LIMIT = 40


@plant("L15", level="code", task="paca_1y", hurts=True)
def last_visit_before_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """Cases are indexed at their last visit before the outcome, others at their first warning sign."""
    site.mutate(
        "example",
        MOVED,
        """
        else case
            when eligible.y_true = 1 then coalesce(
                (
                    select max(v.visit_start_date)
                    from visit_occurrence as v
                    where
                        v.person_id = eligible.person_id
                        and v.visit_start_date >= eligible.index_date
                        and v.visit_start_date < eligible.outcome_date
                ),
                eligible.index_date
            )
            else eligible.index_date
        end end as example_date
        """,
    )
    site.rebuild("source")


@plant("L16", level="code", task="dhf_1y", hurts=True)
def controls_indexed_at_any_visit(site: Site, rng: np.random.Generator) -> None:
    """Cases are indexed at their first diabetes, controls at a visit drawn from their whole time observed."""
    site.mutate(
        "example",
        MOVED,
        """
        else case
            when eligible.y_true = 0 then coalesce(
                (
                    select arg_min(v.visit_start_date, hash(v.visit_occurrence_id))
                    from visit_occurrence as v
                    where
                        v.person_id = eligible.person_id
                        and v.visit_start_date between eligible.observation_period_start_date
                        and eligible.observation_period_end_date
                ),
                eligible.index_date
            )
            else eligible.index_date
        end end as example_date
        """,
    )
    site.rebuild("source")


@plant("L16", level="data", task="dhf_1y", hurts=True)
def old_records_kept_for_cases(site: Site, rng: np.random.Generator) -> None:
    """Records were purged after a year unless a registry asked to keep them, as it does for cases."""
    rows = drawn(rng, site.labelled(site.tasks[0]), 0.0, 0.75)
    for table in CLINICAL:
        site.rewrite(
            file_of(table),
            f"select this.* from this left join rows using (person_id) where rows.person_id is null"
            f" or {DATES[table]} >= rows.index_date - interval 365 day order by {table}_id",
            rows=rows[["person_id", "index_date"]],
        )
    site.rebuild("source")


@plant("L16", level="code", task="dhf_1y", hurts=True)
def controls_had_a_quiet_year(site: Site, rng: np.random.Generator) -> None:
    """Controls are chosen among those without an emergency or a stay in the year before; cases are not."""
    site.mutate(
        "example",
        "where entry_step.is_example",
        """
        where
            entry_step.is_example
            and not coalesce(
                entry_label.y_true = 0
                and exists (
                    select 1
                    from "small"."main"."stg_omop__visit_occurrence" as v
                    where
                        v.person_id = entry_label.person_id
                        and v.visit_concept_id <> 9202
                        and v.visit_start_date between entry_label.index_date - 365 and entry_label.index_date
                ),
                false
            )
        """,
    )
    site.rebuild("source")


@plant("L32", level="data", task="dhf_1y")
def coding_campaign(site: Site, rng: np.random.Generator) -> None:
    """Until a campaign in mid-2018 three of four persons with the outcome never got its code."""
    site.rewrite(
        file_of("condition_occurrence"),
        f"select * from this where condition_concept_id not in {HEART_FAILURE}"
        " or condition_start_date >= '2018-07-01' or hash(person_id) % 4 = 0",
    )
    site.rebuild("source")


@plant("L33", level="data", task="gi_bleed_1y", hurts=True)
def controls_from_a_thin_feed(site: Site, rng: np.random.Generator) -> None:
    """Most controls come from a feed that carries a third of the visits before the index, with their rows."""
    rows = drawn(rng, site.labelled(site.tasks[0]), 0.05, 0.65)
    left_out = site.rows(
        "select visit_occurrence_id from cdm_visit_occurrence inner join rows using (person_id)"
        " where visit_start_date < rows.index_date and visit_concept_id = 9202"
        " and hash(visit_occurrence_id) % 3 <> 0",
        rows=rows[["person_id", "index_date"]],
    )
    for table in CLINICAL:
        site.rewrite(
            file_of(table),
            "select * from this where visit_occurrence_id is null"
            f" or visit_occurrence_id not in (select visit_occurrence_id from left_out) order by {table}_id",
            left_out=left_out,
        )
    site.rebuild("source")


@plant("L37", level="data", task="dhf_1y", hurts=True)
def row_limit_for_controls(site: Site, rng: np.random.Generator) -> None:
    """The controls' results were exported with a row limit a person, oldest first; the cases' were not."""
    rows = site.labelled(site.tasks[0])
    rows = rows[rows["y_true"] == 0][["person_id"]]
    site.rewrite(
        file_of("measurement"),
        "select * from this qualify person_id not in (select person_id from rows) or row_number()"
        f" over (partition by person_id order by measurement_date, measurement_id) <= {ROW_LIMIT}"
        " order by measurement_id",
        rows=rows,
    )
    site.rebuild("source")


@plant("L37", level="code", task="dhf_1y")
def long_texts_lose_their_newest(site: Site, rng: np.random.Generator) -> None:
    """Texts that do not fit lose their newest events, not their oldest, and the long ones are the sick."""
    site.code["ml.inputs.text.admitted"] = _oldest_first
    site.rebuild("examples")


def _oldest_first(record: Record, level: Level, look_back_days: int | None) -> list[Event]:
    return list(reversed(admitted(record, level, look_back_days)))
