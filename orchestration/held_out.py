"""The held-out log: every reading of held-out data by this home, appended before the scores are seen."""

import json
from typing import Any

from ml.artefact import whole_file
from ml.code_key import code_key
from orchestration.platform import Platform, now
from orchestration.step import upstream

# What makes a reading another one: the protocol, the data, and the code that scores.
READING = ("study_sha256", "snapshot", "code")


def log_reading(platform: Platform, run_id: str, task: str, arm: str) -> None:
    """Append that an arm's held-out scores are read, unless this very reading stands there already.

    A crash and its completion are one reading (METHODS 19).
    """
    row = {
        "at": now(),
        "study_sha256": platform.study.sha256,
        "snapshot": upstream(platform, "published", verify=False).metadata["snapshot"],
        "task": task,
        "arm": arm,
        "code": code_key("ml.arm"),
        "run_id": run_id,
    }
    same = ("task", "arm", *READING)
    if any(all(old[name] == row[name] for name in same) for old in _rows(platform)):
        return
    log = platform.home.held_out_log
    old = log.read_text(encoding="utf-8") if log.exists() else ""
    with whole_file(log) as temporary:
        temporary.write_text(old + json.dumps(row, sort_keys=True) + "\n", encoding="utf-8")


def readings(platform: Platform, task: str) -> int:
    """Count how often this home has read a task's held-out data, under any version of its protocol.

    An edited protocol is a further reading: its author may have seen the results. Stricter than counting
    a study's hash alone, which an edit of the margin would reset.
    """
    read: dict[str, set[tuple[str, ...]]] = {}
    for row in _rows(platform):
        if row["task"] == task:
            read.setdefault(row["arm"], set()).add(tuple(row[name] for name in READING))
    return max((len(one) for one in read.values()), default=0)


def _rows(platform: Platform) -> list[dict[str, Any]]:
    log = platform.home.held_out_log
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
