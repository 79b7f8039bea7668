"""What does not fit in memory stays below the home, and goes."""

from pathlib import Path

import pytest

from ml.in_memory import in_memory

ROOT = Path(__file__).resolve().parent.parent


def test_overflow_lies_below_the_given_folder_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with in_memory(home) as connection:
        connection.execute("set memory_limit = '24MB'")
        connection.execute("create table many as select range as a, hash(range) as b from range(3_000_000)")
        assert list(home.rglob("*.tmp")), "nothing overflowed: the test shows nothing"
    assert not list(elsewhere.iterdir())
    assert not list(home.rglob("*.tmp"))


def test_every_database_in_memory_is_opened_there() -> None:
    code = [file for folder in ("ml", "orchestration") for file in sorted((ROOT / folder).rglob("*.py"))]
    assert len(code) > 100
    assert not [file.name for file in code if "duckdb.connect()" in file.read_text(encoding="utf-8")]
