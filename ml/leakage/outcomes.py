"""Which single events are an outcome of a task, as rows that SQL can join."""

import duckdb

from ml.task_definition import Criterion, Task

# Whether the event `clinical_event` is one of the rows of `outcome`.
IS_OUTCOME = (
    "exists (select 1 from outcome where outcome.domain = clinical_event.domain"
    " and outcome.concept_id = clinical_event.concept_id"
    " and (outcome.value_set is null or clinical_event.value_as_concept_id in (select concept_id"
    " from concept_set_member where concept_set = outcome.value_set))"
    " and (outcome.operator is null or outcome.unit_concept_id = clinical_event.unit_concept_id"
    " and not isnan(clinical_event.value_as_number) and case outcome.operator"
    " when '>' then clinical_event.value_as_number > outcome.threshold"
    " when '>=' then clinical_event.value_as_number >= outcome.threshold"
    " when '<' then clinical_event.value_as_number < outcome.threshold"
    " else clinical_event.value_as_number <= outcome.threshold end))"
)


def plain_outcomes(task: Task) -> list[Criterion]:
    """Return the outcome rows that one event alone can match."""
    rows = task.rows("outcome")
    return [row for row in rows if row.domain not in ("Stay", "Death") and row.same_visit_as is None]


def make_outcome_table(connection: duckdb.DuckDBPyConnection, task: Task) -> None:
    """Make `outcome`: one row an outcome row and concept, for outcomes that one event alone can match.

    The connection knows `concept_set_member`.
    """
    connection.execute(
        "create table outcome (domain varchar, concept_id bigint, operator varchar, threshold double,"
        " unit_concept_id bigint, value_set varchar)"
    )
    for row in plain_outcomes(task):
        connection.execute(
            "insert into outcome select ?, concept_id, ?, ?, ?, ? from concept_set_member"
            " where concept_set = ?",
            [
                row.domain,
                row.value_operator,
                row.value_threshold,
                row.unit_concept_id,
                row.value_concept_set,
                row.concept_set,
            ],
        )
