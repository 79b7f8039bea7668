"""Every template's tasks in one study, on rougher worlds: what matters where kinds and rare facts meet."""

import random
from datetime import date, timedelta
from typing import Any

from definitions.catalogue import Defined, criterion, define
from definitions.templates import LAGGED, TEMPLATES, Template
from definitions.vocabulary import FAMILIES, UNIT

EVERY_KIND = "every_kind"
FIRST_ADDED_ID = 10**12
LAST_DAY = date(2017, 6, 30)  # of the source: a year from an index may run past it
AGAINST_ITS_ORDER = {
    "observation_period_start_date": date(2039, 1, 2),
    "observation_period_end_date": date(2039, 1, 1),
}
CAUSES = (FAMILIES["t_disease"][0], None)

Tables = dict[str, list[dict[str, Any]]]

SIGN = criterion("entry", "Condition", "t_sign")
DISEASE = criterion("outcome", "Condition", "t_disease")
HIGH = {"value_operator": ">", "value_threshold": 7.5, "unit_concept_id": UNIT}

# Rows that name each other across roles, groups whose orders interleave, two reasons at once.
MEETINGS: tuple[Defined, ...] = (
    define(
        "mx_groups", SIGN,
        criterion("require", "Condition", "t_comorbidity", any_of=1, min_count=1),
        criterion("require", "Drug", "t_drug", min_count=0, max_count=2),
        criterion("require", "Procedure", "t_procedure", any_of=1, min_count=1),
        DISEASE,
        anchor="event", entry_limit="all", tar_end_days=5,
    ),
    define(
        "mx_confirm_first", SIGN, DISEASE,
        criterion("confirm", "Drug", "t_drug", any_of=1, window_start_days=-9, window_end_days=3, min_count=0,
                  max_count=4),
        criterion("require", "Condition", "t_comorbidity", min_count=1),
        criterion("require", "Drug", "t_drug", any_of=1, min_count=1),
        criterion("require", "Procedure", "t_procedure", any_of=1, min_count=1),
        anchor="event", entry_limit="all", tar_end_days=5,
    ),
    define(
        "mx_none_or_some", SIGN,
        criterion("require", "Drug", "t_drug", any_of=1, window_start_days=-5, min_count=0, max_count=0),
        criterion("require", "Condition", "t_comorbidity", any_of=1, min_count=2),
        DISEASE,
        anchor="event", entry_limit="all", tar_end_days=5,
    ),
    define(
        "mx_visits", SIGN, DISEASE,
        criterion("require", "Drug", "t_drug", min_count=0, max_count=1, same_visit_as=2),
        criterion("require", "Procedure", "t_procedure", min_count=0, max_count=5),
        criterion("confirm", "Drug", "t_drug", window_start_days=-9, window_end_days=9, min_count=1,
                  same_visit_as=4),
        anchor="event", entry_limit="all", tar_end_days=6, outcome_in_history="allow",
        follow_up_policy="keep_cases",
    ),
    define(
        "mx_died_unconfirmed", SIGN, DISEASE,
        criterion("confirm", "Condition", "t_comorbidity", window_start_days=0, window_end_days=2,
                  min_count=1),
        anchor="event", entry_limit="all", design="reproduction", tar_end_days=6, follow_up_policy="negative",
        death_policy="null_label", unconfirmed_policy="null_label",
    ),
    define(
        "mx_value_visit", SIGN,
        criterion("outcome", "Measurement", "t_lab", same_visit_as=1, **HIGH),
        criterion("require", "Drug", "t_drug", min_count=0, max_count=1, same_visit_as=2),
        criterion("require", "Measurement", "t_other_lab", min_count=0, max_count=9, **HIGH),
        anchor="event", entry_limit="all", tar_end_days=6, outcome_in_history="allow",
    ),
    define(
        "mx_two_outcomes", SIGN, DISEASE,
        criterion("outcome", "Procedure", "t_procedure"),
        criterion("confirm", "Drug", "t_drug", window_start_days=-6, window_end_days=6, min_count=0,
                  max_count=1),
        anchor="event", entry_limit="all", tar_end_days=6, outcome_in_history="allow",
        follow_up_policy="keep_cases",
    ),
)  # fmt: skip


def every_kind() -> Template:
    """Return all tasks of all templates as one template; its data end as the periods do (`auto`)."""
    templates = TEMPLATES.values()
    return Template(
        EVERY_KIND,
        ("every anchor", "every outcome", "every index rule"),
        [*(row for t in templates for row in t.tasks), *(defined.task for defined in MEETINGS)],
        [*(row for t in templates for row in t.criteria), *(r for d in MEETINGS for r in d.criteria)],
        list({tuple(row.items()): row for t in templates for row in t.concept_sets}.values()),
        LAGGED,
        {"data_end": "auto", "coding_lag_days": 0},
    )


STUDIES = {**TEMPLATES, EVERY_KIND: every_kind()}


def roughened(tables: Tables, seed: int) -> Tables:
    """Return a world with what the templates' worlds lack.

    A source that ends; three periods inside one another, one against its order and later than all others; an
    unknown sex, a day of birth without its month, one that its month does not have, a month that there is
    not; a death twice, with two causes; beside an event another one of its set on the next day, another
    outcome on the same day, a drug in the same visit, another value.
    """
    draw = random.Random(seed)
    rough = {name: list(rows) for name, rows in tables.items()}
    rough["person"] = [_impossible(_unclear(row, draw)) for row in tables["person"]]
    rough["observation_period"] = [
        period for row in tables["observation_period"] for period in _within(_ended(row), draw)
    ]
    known = {"person_id": tables["person"][0]["person_id"]}
    rough["observation_period"].append(tables["observation_period"][0] | known | AGAINST_ITS_ORDER)
    rough["death"] = [row | {"cause_concept_id": cause} for row in tables["death"] for cause in CAUSES]
    for number, row in enumerate([*tables["condition_occurrence"], *tables["measurement"]]):
        day = row.get("condition_start_date", row.get("measurement_date"))
        if day is not None:
            _add_beside(rough, row, day, FIRST_ADDED_ID + number, draw)
    return rough


def _add_beside(rough: Tables, row: dict[str, Any], day: date, new_id: int, draw: random.Random) -> None:
    shared = {"person_id": row["person_id"], "visit_occurrence_id": row.get("visit_occurrence_id")}
    if "condition_start_date" in row and draw.random() < 0.3:
        later = {"condition_occurrence_id": new_id, "condition_start_date": day + timedelta(1)}
        rough["condition_occurrence"].append(row | later)
    added = (
        ("procedure_occurrence", "procedure", "procedure_date", "t_procedure", day, {}),
        ("drug_exposure", "drug", "drug_exposure_start_date", "t_drug", day, {}),
        (
            "measurement",
            "measurement",
            "measurement_date",
            "t_other_lab",
            day + timedelta(2),
            {"value_as_number": 9.0, "unit_concept_id": UNIT},
        ),
    )
    for table, stem, dated, family, when, value in added:
        if draw.random() < 0.2:
            concept = {f"{stem}_concept_id": FAMILIES[family][0], f"{stem}_type_concept_id": 0}
            rough[table].append({f"{table}_id": new_id, dated: when, **concept, **value, **shared})


def without_concept_rows(vocabulary: Tables) -> Tables:
    """Return a vocabulary that lacks the rows of the grandchildren; as descendants they still count."""
    lost = {first + 2 for first, _ in FAMILIES.values()}
    return {**vocabulary, "concept": [row for row in vocabulary["concept"] if row["concept_id"] not in lost]}


def _unclear(row: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    if draw.random() < 0.1:
        row = row | {"gender_concept_id": None}
    if draw.random() < 0.1 and row["month_of_birth"] is not None:
        row = row | {"month_of_birth": None, "day_of_birth": draw.randint(2, 28)}
    return row


def _impossible(row: dict[str, Any]) -> dict[str, Any]:
    """Return a person; of thirteen, three are born on a 31st of whatever month, and one in a 13th month."""
    place = row["person_id"] % 13
    if place < 3 and row["month_of_birth"] is not None:
        return row | {"day_of_birth": 31}
    return row | {"month_of_birth": 13} if place == 3 else row


def _ended(row: dict[str, Any]) -> dict[str, Any]:
    """Return a period, which ends with the source at the latest."""
    return row | {"observation_period_end_date": min(row["observation_period_end_date"], LAST_DAY)}


def _within(row: dict[str, Any], draw: random.Random) -> list[dict[str, Any]]:
    """Return a period, and often two more that lie within it, the earlier of them ending first."""
    start: date = row["observation_period_start_date"]
    end: date = row["observation_period_end_date"]
    if (end - start).days < 12 or draw.random() < 0.5:
        return [row]
    first, second = sorted(draw.sample(range(3, (end - start).days), 2))
    spans = (
        (start + timedelta(1), start + timedelta(first)),
        (start + timedelta(2), start + timedelta(second)),
    )
    return [
        row,
        *(row | {"observation_period_start_date": s, "observation_period_end_date": e} for s, e in spans),
    ]
