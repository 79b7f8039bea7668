"""One writer a home: a lock file that names its run, process and boot."""

import fcntl
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from ml.artefact import read_json, write_json


class HomeLockedError(RuntimeError):
    """Another run writes to this home."""


def take(lock: Path, run_id: str, instance: DagsterInstance) -> None:
    """Take the lock for a run, or return if the run holds it already.

    A holder is dead when its process is gone, when the machine booted since, or when its run ended.

    Raises:
        HomeLockedError: a living run holds it; the message names it.
    """
    with _guarded(lock):
        holder = read_json(lock) if lock.exists() else None
        if holder and holder["run_id"] != run_id and _alive(holder, instance):
            raise HomeLockedError(
                f"Run {holder['run_id']} (process {holder['pid']}) writes to the home `{lock.parent.name}`"
                "\n\nhint: wait until it ends; nothing was changed"
            )
        if not holder or holder["run_id"] != run_id:
            write_json(lock, {"run_id": run_id, **_myself()})


def release(lock: Path, run_id: str) -> None:
    """Give the lock back if this run holds it."""
    with _guarded(lock):
        if lock.exists() and read_json(lock)["run_id"] == run_id:
            lock.unlink()


@contextmanager
def _guarded(lock: Path) -> Iterator[None]:
    """Let one process at a time look at the lock and change it."""
    with lock.with_suffix(".guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _myself() -> dict[str, Any]:
    # Under the multiprocess executor a step is a child of the run's process; the run is who writes.
    parent = multiprocessing.parent_process()
    pid = os.getpid() if parent is None or parent.pid is None else parent.pid
    return {"pid": pid, "pid_started": started_ticks(pid), "boot_id": _boot_id()}


def _alive(holder: dict[str, Any], instance: DagsterInstance) -> bool:
    if holder["boot_id"] != _boot_id() or started_ticks(holder["pid"]) != holder["pid_started"]:
        return False
    run = instance.get_run_by_id(holder["run_id"])
    if run is not None:
        return not run.is_finished
    # Unknown to this instance: another instance's run if it lives in another process.
    return holder["pid"] != _myself()["pid"]


def started_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot (proc(5), field 22); None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
