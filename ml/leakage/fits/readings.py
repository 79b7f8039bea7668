"""How often held-out was read, by the log that every reading is written to before scores are seen (L28)."""

import json

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown

# Of one arm on one snapshot: another protocol or other code that scores is another reading.
READING = ("study_sha256", "code")


def read_again(shown: Shown) -> Finding:
    """Count readings of the same held-out labels beyond the first, of the arm that has most.

    A refresh is other data and no further reading here; the verdicts call it monitoring. Arms of one run, and
    the same run again, are one.
    """
    log = shown.held_out_log
    if not log.exists():
        return Finding(0, 0, "Nothing has been logged.")
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    read: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for row in rows:
        if row["task"] == shown.task.task:
            reading = tuple(row[name] for name in READING)
            read.setdefault((row["snapshot"], row["arm"]), set()).add(reading)
    most = max((len(one) for one in read.values()), default=0)
    note = f"The same held-out labels were read {most} times." if most > 1 else ""
    return Finding(sum(len(one) for one in read.values()), max(0, most - 1), note)


CHECKS = (
    LeakCheck(
        "held_out_is_read_once",
        ("L28",),
        "warns",
        "The held-out labels of one snapshot were read by one protocol with one code, in each arm.",
        "What was read elsewhere, or past the log; a choice made between refreshes, which are other data.",
        read_again,
        stage="scores",
    ),
)
