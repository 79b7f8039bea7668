"""The catalogue names what holds each leak, and the README shows it."""

import subprocess
import sys
from pathlib import Path

from ml.leakage.catalogue import read_catalogue, signable_checks
from ml.leakage.registry import CHECKS
from orchestration.checks import SNAPSHOT_CHECKS
from orchestration.task_checks import TASK_CHECKS

README = Path(__file__).resolve().parents[2] / "ml" / "leakage" / "README.md"
HOW = {
    **{check.name: {"block": "blocks", "warn": "warns"}[check.severity] for check in SNAPSHOT_CHECKS},
    **{check.name: {"block": "blocks", "warn": "warns"}[check.severity] for check in TASK_CHECKS},
    **{check.name: check.how for check in CHECKS},
}
WORDS = {"blocks": "blocks", "signed_off_or_blocks": "blocks unless signed off", "warns": "warns"}


def test_every_leak_has_its_row_once():
    assert [leak.id for leak in read_catalogue()] == [f"L{n:02}" for n in range(1, 40)]
    assert all(leak.mechanism for leak in read_catalogue())


def test_every_check_that_is_named_is_one_and_does_what_is_said():
    for leak in read_catalogue():
        if leak.held_by:
            assert list(leak.how) == [HOW[name] for name in leak.held_by], leak.id
        else:
            assert leak.how in (("impossible",), ("outside",)) and leak.why, leak.id


def test_each_check_and_the_catalogue_name_each_other():
    held = {check.name: set(check.leaks) for check in CHECKS}
    named = {name: {leak.id for leak in read_catalogue() if name in leak.held_by} for name in held}
    assert named == held
    assert len(held) == len(CHECKS)


def test_what_may_be_signed_off_is_what_the_catalogue_says():
    assert signable_checks() == tuple(
        sorted(check.name for check in CHECKS if check.how == "signed_off_or_blocks")
    )


def table() -> str:
    """The catalogue as the README shows it."""
    lines = ["| id | how it comes about | held by |", "|---|---|---|"]
    for leak in read_catalogue():
        held = [
            f"`{name}` ({WORDS[how]})" for name, how in zip(leak.held_by, leak.how, strict=bool(leak.held_by))
        ]
        words = ", ".join(held) + "." if held else f"**{leak.how[0]}**."
        lines.append(f"| {leak.id} | {leak.mechanism} | {f'{words} {leak.why}'.strip()} |")
    return "\n".join(lines)


def test_the_readme_shows_the_catalogue():
    assert table() in README.read_text(encoding="utf-8")


def test_naming_the_checks_loads_no_statistics():
    heavy = ("sklearn", "scipy.stats", "scipy.optimize", "torch")
    code = f"import sys, ml.leakage.registry; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
