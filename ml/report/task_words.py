"""A task's definition in two sentences for a reader: who is in the cohort, and what the label is."""

from ml.tasks import Criterion, Task

LIMITS = {
    "first_ever": "the first ever, whether it qualifies or not",
    "first_qualifying": "the first that qualifies",
    "all": "every time",
}
ENDS = {
    "null_label": "lost before the end without it: no label",
    "keep_cases": "lost before the end: no label, cases seen all the same stay cases",
    "negative": "lost before the end counts as no",
}


def cohort_sentence(task: Task) -> str:
    """Say who is in the cohort: the entry, which of several, age, sex, history, criteria."""
    parts = [_entry(task), *_person(task)]
    days = task.prior_observation_days
    parts.append(f"with {days} days observed before" if days else "while observed")
    criteria = [*_groups(task, "require"), *(row.description for row in task.rows("forbid"))]
    if task.outcome_in_history == "forbid":
        criteria.append(f"no outcome known by the index{_washout(task.washout_days)}")
    words = ", ".join(parts)
    return f"{words[:1].upper()}{words[1:]}" + "".join(f"; {one}" for one in criteria) + "."


def label_sentence(task: Task) -> str:
    """Say what the label is: the outcome, its time, and what death, loss and a missing value mean."""
    outcome = " or ".join(row.description for row in task.rows("outcome"))
    sentences = [f"{outcome[:1].upper()}{outcome[1:]}, {_time_at_risk(task)}"]
    if confirmed := _groups(task, "confirm"):
        policy = "no" if task.unconfirmed_policy == "negative" else "no label"
        sentences.append(f"Confirmed by: {'; and '.join(confirmed)}. Unconfirmed: {policy}")
    if task.index_rule == "outcome_or_last_visit":
        sentences.append(_moved(task))
    ends = [ENDS[task.follow_up_policy]]
    if task.death_policy:
        ends.insert(
            0, "death first: no label" if task.death_policy == "null_label" else "death first counts as no"
        )
    if task.unmeasured_policy:
        ends.append(
            "not measured: no label"
            if task.unmeasured_policy == "null_label"
            else "not measured counts as no"
        )
    last = "; ".join(ends)
    sentences.append(f"{last[:1].upper()}{last[1:]}")
    return ". ".join(sentences) + "."


def _entry(task: Task) -> str:
    if task.landmark_date:
        return f"everybody on {task.landmark_date}"
    if task.landmark_age is not None:
        return f"everybody on the day of turning {task.landmark_age}"
    entries = " or ".join(row.description for row in task.rows("entry"))
    return f"{entries} ({LIMITS[task.entry_limit or 'all']})"


def _person(task: Task) -> list[str]:
    parts = []
    if task.age_min is not None and task.age_max is not None:
        parts.append(f"aged {task.age_min} to {task.age_max}")
    elif task.age_min is not None:
        parts.append(f"at {task.age_min} or older")
    elif task.age_max is not None:
        parts.append(f"at {task.age_max} or younger")
    if task.sex_concept_id is not None:
        parts.append(f"of the sex with concept id {task.sex_concept_id}")
    return parts


def _washout(days: int | None) -> str:
    if days is None:
        return ""
    return f" in the {days} days before" if days else " on the index day"


def _groups(task: Task, role: str) -> list[str]:
    """The descriptions of `require` or `confirm` rows; alternatives are joined by or."""
    groups: dict[str, list[Criterion]] = {}
    for row in task.criteria:
        if row.role == role:
            groups.setdefault(f"row {row.order}" if row.any_of is None else f"any {row.any_of}", []).append(
                row
            )
    return [" or ".join(row.description for row in rows) for rows in groups.values()]


def _time_at_risk(task: Task) -> str:
    if task.tar_end == "visit_end":
        return f"from day {task.tar_start_days} after the index to the end of the stay, that day included"
    return f"{task.tar_start_days} to {task.tar_end_days} days after the index, both ends included"


def _moved(task: Task) -> str:
    gap = f", less {task.index_gap_days} days" if task.index_gap_days else ""
    return f"The index of a case is then moved to its outcome, that of others to their last visit{gap}"
