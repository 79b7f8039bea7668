"""Running the parts of the mutation suite in processes that end with this one.

A process makes the clean site of a seed once, so the plants of a seed stay with one process as long as others
have seeds of their own; clean worlds fill the rest.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ml.run import die_with_parent

if TYPE_CHECKING:
    from leakage.proving import Planting

Job = tuple[str, str, int]  # plant, world or frozen; its name, size or task; seed
Result = dict[str, Any]
Keep = Callable[[Job, Result], None]

PATIENCE_SECONDS = 10  # between asking a process to end and ending it
CONTEXT = get_context("spawn")


class Queue:
    """Jobs to be done, given out so that the clean site of a seed is made by few processes."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._of_seed: dict[int, list[Job]] = {}
        self._worlds: list[Job] = []
        for job in jobs:
            own = self._worlds if job[0] == "world" else self._of_seed.setdefault(job[2], [])
            own.append(job)
        self._begun: dict[int, int] = {}  # process by seed

    def take(self, process: int) -> Job | None:
        """Return the next job of a process: of its own seed, of a seed of nobody's, a world, of any seed."""
        seeds = [seed for seed, jobs in self._of_seed.items() if jobs]
        own = [seed for seed in seeds if self._begun.get(seed, process) == process]
        own.sort(key=lambda seed: (seed not in self._begun, seed))
        if not own and self._worlds:
            return self._worlds.pop(0)
        if not seeds:
            return None
        seed = own[0] if own else max(seeds, key=lambda seed: len(self._of_seed[seed]))
        self._begun.setdefault(seed, process)
        return self._of_seed[seed].pop(0)


@dataclass
class Worker:
    """A process that does one job at a time."""

    number: int
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None

    @classmethod
    def begun(cls, number: int, folder: Path, persons: int) -> "Worker":
        """Begin a process; its sites lie below `folder`."""
        ends: Any = Pipe()
        ours, theirs = ends
        process = CONTEXT.Process(target=_work, args=(theirs, folder, persons), daemon=True)
        process.start()
        theirs.close()
        return cls(number, process, ours)

    def give(self, job: Job | None) -> None:
        """Give it a job; None: there is none left."""
        self.job = job
        self.pipe.send(job)

    def answer(self) -> Result:
        """Return what it made of its job; a process that ended in the middle is an error like another."""
        try:
            return self.pipe.recv()
        except EOFError:
            self.process.join()
            ended = f"exit code {self.process.exitcode}"
            return {"error": {"kind": "ProcessEnded", "places": [ended]}, "seconds": 0, "cpu_seconds": 0}


def run_jobs(
    jobs: Sequence[Job], folder: Path, persons: int, processes: int, keep: Keep, last: float | None = None
) -> None:
    """Do jobs in processes; each result is kept as it comes. None begins after `last` (monotonic seconds).

    The processes end with this one: on SIGTERM and SIGINT, which raise SystemExit here, or when it is killed.
    """
    queue = Queue(jobs)
    with ended_by_signals():
        workers = [Worker.begun(n, folder, persons) for n in range(min(processes, len(jobs)))]
        try:
            for worker in workers:
                worker.give(queue.take(worker.number))
            while busy := {worker.pipe: worker for worker in workers if worker.job}:
                for pipe in wait(list(busy)):
                    worker = busy[pipe]  # pyright: ignore[reportArgumentType]
                    job, result = worker.job, worker.answer()
                    assert job is not None
                    keep(job, result)
                    if not worker.process.is_alive():
                        worker = workers[worker.number] = Worker.begun(worker.number, folder, persons)
                    late = last is not None and time.monotonic() > last
                    worker.give(None if late else queue.take(worker.number))
        finally:
            _end(workers)


def _end(workers: Sequence[Worker]) -> None:
    for worker in workers:
        if worker.job:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(PATIENCE_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT raise SystemExit, so that what is open is closed."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _work(pipe: Connection, folder: Path, persons: int) -> None:
    """Do jobs until there is none."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: it comes to all, and the parent decides
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from leakage.warm import quickened

    begin(folder, persons)
    with quickened():
        while job := pipe.recv():
            pipe.send(run_part(job))
    PLANTING[0].close()


PLANTING: list["Planting"] = []  # that of this process


def begin(folder: Path, persons: int, tasks: Sequence[str] = ()) -> None:
    """Prepare a process: temporary files below `folder`, plants on sites of so many persons and tasks."""
    import warnings

    from leakage.pipeline import TASKS
    from leakage.proving import Planting

    warnings.filterwarnings("ignore", message="sqlglotrs is deprecated")
    tempfile.tempdir = str(folder)
    PLANTING[:] = [Planting(persons, tasks or TASKS)]


def run_part(job: Job) -> Result:
    """Do one job; a failure is a result like another."""
    from leakage.proving import described

    part, name, seed = job
    started, cpu = time.monotonic(), _cpu_seconds()
    try:
        result = PARTS[part](name, seed)
    except Exception as error:
        result = {"error": described(error)}
    spent = {"seconds": time.monotonic() - started, "cpu_seconds": _cpu_seconds() - cpu}
    return {**result, **{name: round(value, 1) for name, value in spent.items()}}


def _cpu_seconds() -> float:
    """Return what this process and those it waited for have used."""
    return sum(os.times()[:4])


def _plant(name: str, seed: int) -> Result:
    return PLANTING[0].run(name, seed)


def _world(size: str, seed: int) -> Result:
    from leakage.proving import clean_world

    with tempfile.TemporaryDirectory(prefix="world-") as folder:
        return {"tasks": clean_world(Path(folder) / "site", seed, int(size), PLANTING[0].tasks)}


def _frozen(task: str, seed: int) -> Result:
    from benchmarks.random_labels import frozen_arms, look_at
    from ml.leakage.fits.permutation import FULL

    site = PLANTING[0].clean(seed)
    with tempfile.TemporaryDirectory(prefix="frozen-") as folder:
        work = Path(folder)
        arms = look_at(frozen_arms(site.examples(task), work), task, FULL, work, lambda _: None)
    return {"arms": arms, "learned": any(arm["learned"] for arm in arms)}


PARTS: dict[str, Callable[[str, int], Result]] = {"plant": _plant, "world": _world, "frozen": _frozen}
