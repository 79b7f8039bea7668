"""Artefacts: whole or absent, named by sha256, verified on read (design, rule 6)."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


class DamagedArtefactError(RuntimeError):
    """A stored file is missing or its bytes are not those that were written."""


def sha256_file(path: Path) -> str:
    """Hash the bytes of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Hash a plain value through its canonical JSON: sorted keys, no spaces, no NaN.

    >>> sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`.

    DuckDB's COPY killed midway leaves half a file under the final name, so everything is written here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            _fsync(file)
        if path.exists():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
        _fsync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def passing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards, on failure too; what a killed run left goes first."""
    remove(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def remove(path: Path) -> None:
    """Remove an artefact, file or folder, where there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a plain value as readable JSON, whole."""
    with whole_file(path) as temporary:
        temporary.write_text(
            json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_json(path: Path) -> Any:
    """Read JSON written by `write_json`."""
    return json.loads(path.read_text(encoding="utf-8"))


def manifest(folder: Path) -> dict[str, str]:
    """Return sha256 by relative name of every file below `folder`, in order of name."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}


def differences(root: Path, expected: dict[str, str]) -> list[str]:
    """Return the relative names of `expected` that are missing under `root` or hold other bytes."""
    return [
        name
        for name, sha256 in sorted(expected.items())
        if not (root / name).is_file() or sha256_file(root / name) != sha256
    ]


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
