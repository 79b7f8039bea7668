"""The lock of a home: one writer, found dead when it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from orchestration.lock import HomeLockedError, release, started_ticks, take


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock.json"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run_of(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
    @dg.job
    def nothing() -> None:
        pass

    return instance.create_run_for_job(nothing, status=status).run_id


def test_run_that_holds_the_lock_takes_it_again(lock: Path, instance: dg.DagsterInstance) -> None:
    take(lock, "one", instance)
    take(lock, "one", instance)
    assert json.loads(lock.read_text())["run_id"] == "one"


def test_second_run_in_the_same_process_is_refused_by_name(lock: Path, instance: dg.DagsterInstance) -> None:
    first = run_of(instance, dg.DagsterRunStatus.STARTED)
    second = run_of(instance, dg.DagsterRunStatus.STARTED)
    take(lock, first, instance)
    with pytest.raises(HomeLockedError, match=first):
        take(lock, second, instance)
    assert json.loads(lock.read_text())["run_id"] == first


def test_run_in_another_living_process_holds_the_lock(lock: Path, instance: dg.DagsterInstance) -> None:
    holder = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        take(lock, "mine", instance)
        held = json.loads(lock.read_text())
        held |= {
            "run_id": "theirs",
            "pid": holder.pid,
            "pid_started": started_ticks(holder.pid),
        }
        lock.write_text(json.dumps(held))
        with pytest.raises(HomeLockedError, match=str(holder.pid)):
            take(lock, "mine", instance)
    finally:
        holder.kill()
        holder.wait()
    take(lock, "mine", instance)
    assert json.loads(lock.read_text())["run_id"] == "mine"


def test_lock_of_an_ended_run_of_this_process_is_free(lock: Path, instance: dg.DagsterInstance) -> None:
    ended = run_of(instance, dg.DagsterRunStatus.FAILURE)
    take(lock, ended, instance)
    take(lock, "next", instance)
    assert json.loads(lock.read_text())["run_id"] == "next"


def test_lock_of_an_earlier_boot_is_free(lock: Path, instance: dg.DagsterInstance) -> None:
    take(lock, "before", instance)
    held = json.loads(lock.read_text()) | {"boot_id": "another boot"}
    lock.write_text(json.dumps(held))
    take(lock, "after", instance)
    assert json.loads(lock.read_text())["run_id"] == "after"


def test_reused_process_number_is_not_the_holder(lock: Path, instance: dg.DagsterInstance) -> None:
    take(lock, "gone", instance)
    held = json.loads(lock.read_text()) | {"pid": os.getppid(), "pid_started": 1}
    lock.write_text(json.dumps(held))
    take(lock, "next", instance)
    assert json.loads(lock.read_text())["run_id"] == "next"


def test_only_the_holder_releases(lock: Path, instance: dg.DagsterInstance) -> None:
    take(lock, "one", instance)
    release(lock, "two")
    assert lock.exists()
    release(lock, "one")
    assert not lock.exists()
