"""What the UI says of checks: the outcome of each in words, and a table of those that failed."""

import dagster as dg
import pytest

from orchestration.step import Record, blocking_row, check_result, judged, outcome, result

KEY = dg.AssetKey(["t", "leakage"])
LEAK = {
    "name": "no_code_gives_the_outcome_away", "task": "t", "looked_at": 576, "found": 1, "limit": 0,
    "severity": "block", "passed": False, "note": "share of cases: 1.", "cannot_see": "Spread proxies.",
}  # fmt: skip
WARNED = {**LEAK, "name": "the_calendar_says_little", "severity": "warn"}
SIGNED = {**LEAK, "name": "no_score_is_the_outcome", "severity": "signed_off"}
IDLE = {**LEAK, "name": "rows_arrive_within_the_lag", "looked_at": 0, "found": 0, "severity": "warn"}
HELD = {**LEAK, "name": "every_person_has_one_split", "found": 0, "passed": True}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (LEAK, "failed: it stops what depends on it"),
        ({**LEAK, "looked_at": 0}, "failed: it stops what depends on it (there was nothing to look at)"),
        (SIGNED, "failed: the study signed it off, and the work went on"),
        (WARNED, "failed: a warning, nothing is refused"),
        (IDLE, "no pass (there was nothing to look at)"),
        (HELD, "passed"),
    ],
)
def test_each_outcome_is_said_in_words_of_its_own(row, words):
    assert outcome(row) == words
    shown = check_result(row, KEY)
    assert shown.description == (words if row is HELD else f"{words}. Share of cases: 1.")
    assert shown.metadata["looked_at"].value == row["looked_at"]


def test_the_page_of_an_asset_tables_its_failures_those_that_stop_first():
    shown = judged([HELD, WARNED, IDLE, SIGNED, LEAK])
    assert shown["checks"].startswith(f"1 {outcome(LEAK)}; 1 {outcome(SIGNED)}; 1 {outcome(WARNED)}; 1 ")
    named = [shown[what] for what in ("stopped_by", "signed_off_checks", "warned_by")]
    assert named == [f"`{one['name']}`" for one in (LEAK, SIGNED, WARNED)]
    lines = shown["failed_checks"].value.splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == [one["name"] for one in (LEAK, SIGNED, WARNED)]
    assert "| 576 | 1 | 0 | share of cases: 1. |" in lines[2]
    assert judged([]) == {}
    assert judged([HELD, IDLE]) == {"checks": f"1 passed; 1 {outcome(IDLE)}"}


def test_an_arm_that_was_refused_says_why_in_its_check():
    row = {**blocking_row("not_refused", "t", looked_at=1, found=1), "note": "leakage: check `x` failed"}
    record = Record(
        "t/prediction/a", "k", "v", {}, {}, [row], {"wall_s": 0, "peak_bytes": 0}, {"reason": "x"}, "r", "m"
    )
    shown = result(record, KEY, ["not_refused"])
    (check,) = shown.check_results
    assert check.metadata["note"].value == "leakage: check `x` failed"
    assert "leakage: check `x` failed" in shown.metadata["failed_checks"].value
