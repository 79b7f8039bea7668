"""Readings of held-out data: what is a new one, and what belongs to one that stands in the log."""

import dataclasses
import json
from pathlib import Path

import pytest

from ml.artefact import write_json
from orchestration.held_out import log_reading, readings
from orchestration.platform import Platform, platform_of

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    study = {"SECOND_OPINION_STUDY": str(ROOT / "studies" / "gibleed.toml")}
    platform = platform_of({**study, "SECOND_OPINION_HOME": str(tmp_path / "home")})
    publish(platform, "one")
    return platform


def publish(platform: Platform, snapshot: str) -> None:
    record = dict.fromkeys(("name", "key", "data_version", "run_id", "made_at"), "x")
    record |= {"outputs": {}, "checks": [], "cost": {}, "refused": None}
    write_json(platform.home.steps / "published.json", {**record, "metadata": {"snapshot": snapshot}})


def logged(platform: Platform) -> list[str]:
    lines = platform.home.held_out_log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["arm"] for line in lines]


def test_arms_of_one_run_and_the_same_again_are_one_reading(platform):
    assert readings(platform, "t") == 0
    for arm in ("a", "b", "a"):
        log_reading(platform, "run", "t", arm)
    assert logged(platform) == ["a", "b"]
    assert (readings(platform, "t"), readings(platform, "other")) == (1, 0)


def test_the_sensitivity_analysis_is_logged_and_belongs_to_the_reading_of_its_arms(platform):
    log_reading(platform, "run", "t", "count_lr")
    log_reading(platform, "run", "t", "own_date_sensitivity")
    log_reading(platform, "a later run", "t", "own_date_sensitivity")
    assert logged(platform) == ["count_lr", "own_date_sensitivity"]
    assert readings(platform, "t") == 1


def test_another_snapshot_and_an_edited_protocol_are_further_readings_of_a_task(platform):
    log_reading(platform, "run", "t", "a")
    publish(platform, "two")
    log_reading(platform, "run", "t", "a")
    assert readings(platform, "t") == 2
    comparison = dataclasses.replace(platform.study.comparisons[0], margin=0.1)
    edited = dataclasses.replace(
        platform, study=dataclasses.replace(platform.study, comparisons=(comparison,))
    )
    log_reading(edited, "run", "t", "a")
    assert readings(edited, "t") == 3
