"""Write a simulated world: an OMOP CDM 5.4 source, and beside it what is needed to restart it."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.simulator.notes import write_notes
from ml.simulator.processes import PROCESSES
from ml.simulator.records import code_block
from ml.simulator.switches import Switches
from ml.simulator.tables import Numbers, block_tables, vocabulary_tables
from ml.simulator.world import Block, simulate

BLOCK_PERSONS = 8192
WORLD_FILE, PERSONS_FILE, EVENTS_FILE = "world.json", "persons.parquet", "events.parquet"
# Changes with every change of a hazard or of the files: an oracle refuses a world of another version.
WORLD_VERSION = 2


def write_source(
    directory: Path,
    world_directory: Path,
    *,
    persons: int,
    seed: int,
    switches: Switches | None = None,
    block_persons: int = BLOCK_PERSONS,
) -> None:
    """Simulate `persons` people and write the source to `directory`, the world's state to `world_directory`.

    The same seed gives the same bytes. Each block of `block_persons` has its own seed, so that its people do
    not depend on how many there are, and memory holds one block at a time. Files that are there are replaced,
    each by one rename. Raises ValueError for fewer than one person.
    """
    if persons < 1:
        raise ValueError(f"Cannot simulate {persons} persons. Allowed: 1 or more")
    switches = switches or Switches()
    directory.mkdir(parents=True, exist_ok=True)
    world_directory.mkdir(parents=True, exist_ok=True)
    numbers = Numbers()
    with _Files() as files:
        for number, begun in enumerate(range(0, persons, block_persons)):
            size = min(block_persons, persons - begun)
            block, rng = simulate(size, np.random.SeedSequence([seed, number]), switches)
            first_person = numbers.persons + 1
            coded = code_block(block, rng)
            for name, table in block_tables(block, coded, write_notes(coded, rng), numbers).items():
                files.write(directory / f"{name}.parquet", table)
            for name, table in _world_tables(block, first_person).items():
                files.write(world_directory / name, table)
        for name, table in vocabulary_tables().items():
            files.write(directory / f"{name}.parquet", table)
    described = {
        "version": WORLD_VERSION,
        "persons": persons,
        "seed": seed,
        "switches": asdict(switches),
        "processes": [process.name for process in PROCESSES],
    }
    _replace(world_directory / WORLD_FILE, (json.dumps(described, indent=2, sort_keys=True) + "\n").encode())


def _world_tables(block: Block, first_person: int) -> dict[str, pa.Table]:
    """Return the persons and the log of a block, by person, step and process."""
    log, people = block.log, block.persons
    ids = np.arange(first_person, first_person + len(people.start), dtype=np.int64)
    return {
        PERSONS_FILE: pa.table(
            {
                "person_id": ids,
                "start": people.start,
                "birth": people.birth,
                "female": people.female > 0,
                "last_day": block.last_day,
                "died": block.died,
            }
        ),
        EVENTS_FILE: pa.table(
            {
                "person_id": ids[log.row],
                "step": log.step,
                "process": log.process,
                "day": log.day,
                "value": log.value,
            }
        ),
    }


class _Files:
    """Parquet files written block by block under temporary names, and renamed together at the end."""

    def __init__(self) -> None:
        self._writers: dict[Path, pq.ParquetWriter] = {}

    def __enter__(self) -> "_Files":
        return self

    def write(self, path: Path, table: pa.Table) -> None:
        if path not in self._writers:
            self._writers[path] = pq.ParquetWriter(_temporary(path), table.schema, compression="zstd")
        self._writers[path].write_table(table)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for path, writer in self._writers.items():
            writer.close()
            if kind is None:
                _temporary(path).replace(path)
            else:
                _temporary(path).unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _replace(path: Path, content: bytes) -> None:
    _temporary(path).write_bytes(content)
    _temporary(path).replace(path)
