"""An artefact is whole or absent: nothing half-written takes a name, and a changed bit is seen."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml.artefact import (
    CHUNK,
    differences,
    manifest,
    read_json,
    sha256_file,
    sha256_json,
    whole_file,
    whole_folder,
    write_json,
)

ROOT = Path(__file__).resolve().parent.parent


class Stopped(Exception):  # noqa: N818
    """What a test raises to stop a writer midway."""


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with whole_file(target) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text(encoding="utf-8") == "new"
    assert names(target.parent) == ["file.txt"]


@pytest.mark.parametrize("before", ["old", None])
def test_a_writer_that_fails_leaves_the_old_file_and_no_other(tmp_path, before):
    target = tmp_path / "file.txt"
    if before is not None:
        target.write_text(before, encoding="utf-8")
    with pytest.raises(Stopped), whole_file(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise Stopped
    assert names(tmp_path) == ([] if before is None else ["file.txt"])
    assert before is None or target.read_text(encoding="utf-8") == before


def test_a_writer_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(FileNotFoundError), whole_file(target):
        pass
    assert target.read_text(encoding="utf-8") == "old"


KILLED = """
import os, sys
from pathlib import Path
from ml.artefact import whole_file, whole_folder
target = Path(sys.argv[1])
with (whole_file if sys.argv[2] == "file" else whole_folder)(target) as temporary:
    (temporary if sys.argv[2] == "file" else temporary / "part").write_text("half")
    os._exit(9)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_writer_that_is_killed_leaves_the_old_artefact(tmp_path, kind):
    target = tmp_path / "artefact"
    if kind == "file":
        target.write_text("old", encoding="utf-8")
    else:
        target.mkdir()
        (target / "part").write_text("old", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target), kind], cwd=ROOT, check=False)
    assert done.returncode == 9
    part = target if kind == "file" else target / "part"
    assert part.read_text(encoding="utf-8") == "old"


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "folder"
    with whole_folder(target) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "part").write_text("new", encoding="utf-8")
        assert not target.exists()
    assert names(target.parent) == ["folder", "folder/sub", "folder/sub/part"]


def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("old", encoding="utf-8")
    with whole_folder(target) as temporary:
        assert names(temporary) == []
        (temporary / "new").write_text("new", encoding="utf-8")
        assert names(target) == ["old"]
    assert names(tmp_path) == ["folder", "folder/new"]


@pytest.mark.parametrize("old", [True, False])
def test_a_folder_writer_that_fails_leaves_the_old_folder_and_no_other(tmp_path, old):
    target = tmp_path / "folder"
    if old:
        target.mkdir()
        (target / "part").write_text("old", encoding="utf-8")
    with pytest.raises(Stopped), whole_folder(target) as temporary:
        (temporary / "part").write_text("half", encoding="utf-8")
        raise Stopped
    assert names(tmp_path) == (["folder", "folder/part"] if old else [])
    assert not old or (target / "part").read_text(encoding="utf-8") == "old"


def test_what_a_killed_writer_left_does_not_get_into_the_next_folder(tmp_path):
    target = tmp_path / "folder"
    left = tmp_path / f".folder.{os.getpid()}.tmp"
    left.mkdir()
    (left / "half").write_text("half", encoding="utf-8")
    with whole_folder(target) as temporary:
        (temporary / "part").write_text("new", encoding="utf-8")
    assert names(tmp_path) == ["folder", "folder/part"]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_the_hash_of_a_file_is_the_sha256_of_its_bytes(tmp_path, size):
    content = bytes(n % 251 for n in range(size))
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("byte", [0, 500, 999])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_found_by_the_name_of_its_file(tmp_path, byte, bit):
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/b"):
        (tmp_path / name).write_bytes(bytes(1000))
    expected = manifest(tmp_path)
    assert list(expected) == ["a", "sub/b"]
    assert differences(tmp_path, expected) == []
    damaged = bytearray((tmp_path / "sub" / "b").read_bytes())
    damaged[byte] ^= 1 << bit
    (tmp_path / "sub" / "b").write_bytes(bytes(damaged))
    assert differences(tmp_path, expected) == ["sub/b"]


def test_a_missing_and_a_cut_file_are_differences_and_a_new_one_is_none(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"content")
    expected = manifest(tmp_path)
    (tmp_path / "a").unlink()
    (tmp_path / "b").write_bytes(b"conten")
    (tmp_path / "new").write_bytes(b"x")
    assert differences(tmp_path, expected) == ["a", "b"]
    assert differences(tmp_path / "nowhere", expected) == ["a", "b", "c"]


def test_json_is_read_as_it_was_written(tmp_path):
    value = {"b": [1, 2.5, None, True], "a": {"text": 'é "quoted"\n'}, "big": -9007199254740993}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value
    assert names(tmp_path) == ["value.json"]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_is_no_json_is_refused_and_leaves_the_old_file(tmp_path, wrong):
    write_json(tmp_path / "value.json", 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "value.json", {"x": wrong})
    assert read_json(tmp_path / "value.json") == 1
    assert names(tmp_path) == ["value.json"]
    with pytest.raises((ValueError, TypeError)):
        sha256_json({"x": wrong})


def test_the_hash_of_a_value_does_not_depend_on_the_order_of_its_keys():
    assert sha256_json({"b": 1, "a": [1, 2]}) == sha256_json({"a": [1, 2], "b": 1})
    different = [{"a": [1, 2]}, {"a": [2, 1]}, {"a": [1, 2], "b": None}, {"a": "[1,2]"}, [], {}, None, 0, ""]
    assert len({sha256_json(value) for value in different}) == len(different)
