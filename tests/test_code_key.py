"""A step's code key moves with every constant it depends on, and with nothing else."""

import functools
import itertools
import os
import shutil
from pathlib import Path

import grimp
import pytest

from ml import code_key as subject

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ml", "orchestration")
DATA = {".csv", ".html", ".css"}
PLANTED = "\nPLANTED = 1\n"


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """A copy of our packages that the keys are computed from, with a constant planted in each module."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in tmp_path.rglob("*.py"):
        file.write_text(file.read_text(encoding="utf-8") + PLANTED, encoding="utf-8")
    monkeypatch.setattr(subject, "ROOT", tmp_path)
    return tmp_path


TICKS = itertools.count(1)


def write(file: Path, text: str) -> None:
    """Write a file at a time of its own: two edits of one size within a tick of the clock look alike."""
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(0, next(TICKS) * 10**9))


def module_of(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root: Path = ROOT) -> dict[str, Path]:
    found = sorted(file for package in PACKAGES for file in (root / package).rglob("*.py"))
    return {module_of(file, root): file for file in found}


@functools.cache
def reached_by_import() -> dict[str, set[str]]:
    """What importing each module loads of ours: grimp's reading, and each package before its modules."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    direct = {
        module: {
            *graph.find_modules_directly_imported_by(module),
            *(module.rpartition(".")[0] for _ in [0] if "." in module),
        }
        for module in graph.modules
    }
    reached: dict[str, set[str]] = {}
    for start in direct:
        seen, waiting = set(), [start]
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting.extend(direct[module])
        reached[start] = seen
    return reached


def keys(names) -> dict[str, str]:
    return {name: subject.code_key(name) for name in names}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    write(file, text.replace(old, new))


def test_grimp_and_the_folder_agree_on_the_modules():
    assert len(modules()) > 60
    assert set(reached_by_import()) == set(modules())


def test_no_module_is_imported_relatively_or_by_its_name_as_text():
    for name, file in modules().items():
        text = file.read_text(encoding="utf-8")
        assert "import_module(" not in text, name
        assert "\nfrom ." not in text, name


@pytest.fixture
def quick(copy, monkeypatch):
    """Remember what is slow to compute; return how to forget what was edited."""
    trees: dict[Path, str] = {}
    syntax, imports = subject._syntax_sha256, functools.cache(subject.imported_modules)

    def remembered(path: Path) -> str:
        if path not in trees:
            trees[path] = syntax(path)
        return trees[path]

    monkeypatch.setattr(subject, "_syntax_sha256", remembered)
    # A constant moves no import, so imports are read once.
    monkeypatch.setattr(subject, "imported_modules", imports)
    return trees


@pytest.mark.slow
def test_a_constant_moves_exactly_the_keys_of_the_modules_that_import_it(copy, quick):
    before = keys(modules())
    wrong = {}
    for name, file in modules(copy).items():
        edit(file, "PLANTED = 1", "PLANTED = 2")
        quick.pop(file)
        moved = {other for other, key in keys(modules()).items() if key != before[other]}
        expected = {other for other, reached in reached_by_import().items() if name in reached}
        if moved != expected:
            wrong[name] = {"not moved": sorted(expected - moved), "moved": sorted(moved - expected)}
        edit(file, "PLANTED = 2", "PLANTED = 1")
        quick.pop(file)
    assert wrong == {}
    assert keys(modules()) == before


@pytest.mark.slow
def test_a_data_file_moves_the_keys_of_the_modules_that_name_it_and_of_their_importers(copy, quick):
    before = keys(modules())
    files = sorted(
        file for package in PACKAGES for file in (copy / package).rglob("*") if file.suffix in DATA
    )
    assert {"cdm.csv", "page.html", "page.css", "concepts.csv"} <= {file.name for file in files}
    for file in files:
        naming = {
            name
            for name, module in modules(copy).items()
            if module.parent == file.parent and file.name in module.read_text(encoding="utf-8")
        }
        assert naming, f"no module beside {file.name} names it"
        file.write_bytes(file.read_bytes() + b"\n")
        quick.clear()
        moved = {name for name, key in keys(modules()).items() if key != before[name]}
        assert moved == {name for name, reached in reached_by_import().items() if naming & reached}
        file.write_bytes(file.read_bytes()[:-1])
    quick.clear()
    assert keys(modules()) == before


def test_a_data_file_that_a_module_names_is_listed(copy):
    assert [file.name for file in subject.data_files("ml.cdm")] == ["cdm.csv"]
    assert subject.data_files("ml.strict") == []
    (copy / "ml" / "colours.csv").write_text("red\n", encoding="utf-8")
    assert [file.name for file in subject.data_files("ml.cdm")] == ["cdm.csv"]


SOURCE = '''"""What the module does."""

LIMIT = 3


class Box:
    """A box."""

    def size(self, add: int = 0) -> int:
        """Return its size."""
        return LIMIT + add


def empty() -> None:
    """Do nothing."""
'''

SAME = {
    "a comment": ("LIMIT = 3\n", "LIMIT = 3  # three\n"),
    "a line of comment": ("class Box", "# boxes\nclass Box"),
    "blank lines": ("LIMIT = 3\n", "\n\n\nLIMIT = 3\n\n"),
    "brackets and breaks": (
        "return LIMIT + add",
        "return (\n            LIMIT\n            + add)",
    ),
    "blanks": ("LIMIT = 3", "LIMIT   =   3"),
    "the module's docstring": ("What the module does.", "Other words."),
    "no docstring of the module": ('"""What the module does."""', ""),
    "a class's docstring": ("A box.", "Some box."),
    "a method's docstring": ("Return its size.", "Give its size back."),
    "a function's docstring": ("Do nothing.", "Rest."),
    "another way to write a number": ("LIMIT = 3", "LIMIT = 0b11"),
}
OTHER = {
    "a number": ("LIMIT = 3", "LIMIT = 4"),
    "a kind of number": ("LIMIT = 3", "LIMIT = 3.0"),
    "a default": ("add: int = 0", "add: int = 1"),
    "an operation": ("LIMIT + add", "LIMIT - add"),
    "a name": ("LIMIT = 3", "LIMITS = 3"),
    "a new statement": ("LIMIT = 3", "LIMIT = 3\nLIMIT += 1"),
    "a text that is no docstring": ("LIMIT = 3", 'LIMIT = 3\nprint("hello")'),
}


def key_of(copy: Path, source: str) -> str:
    write(copy / "ml" / "boxes.py", source)
    return subject.code_key("ml.boxes")


@pytest.mark.parametrize("change", SAME)
def test_words_and_layout_do_not_move_a_key(copy, change):
    old, new = SAME[change]
    assert SOURCE.count(old) == 1
    assert key_of(copy, SOURCE.replace(old, new)) == key_of(copy, SOURCE)


@pytest.mark.parametrize("change", OTHER)
def test_what_a_module_does_moves_its_key(copy, change):
    old, new = OTHER[change]
    assert SOURCE.count(old) == 1
    assert key_of(copy, SOURCE.replace(old, new)) != key_of(copy, SOURCE)


@pytest.mark.parametrize(
    "imported",
    [
        "import ml.leaf",
        "from ml.leaf import VALUE",
        "from ml import leaf",
        "from ml import leaf as other",
        "def later():\n    from ml.leaf import VALUE\n\n    return VALUE",
        "try:\n    import ml.leaf\nexcept ImportError:\n    pass",
        "import ml.middle",
    ],
)
def test_every_way_to_import_counts(copy, imported):
    (copy / "ml" / "middle.py").write_text("from ml.leaf import VALUE\n", encoding="utf-8")
    seen = set()
    for value in (1, 2):
        write(copy / "ml" / "leaf.py", f"VALUE = {value}\n")
        seen.add(key_of(copy, imported + "\n"))
    assert len(seen) == 2


def test_modules_that_import_each_other_have_keys(copy):
    (copy / "ml" / "leaf.py").write_text("import ml.boxes\n", encoding="utf-8")
    assert len(key_of(copy, "import ml.leaf\n")) == 64


def test_the_key_of_several_modules_does_not_depend_on_their_order(copy):
    assert subject.code_key("ml.cdm", "ml.cost") == subject.code_key("ml.cost", "ml.cdm")
    assert subject.code_key("ml.cdm", "ml.cost") != subject.code_key("ml.cdm")


def test_a_module_that_is_not_there_is_an_error(copy):
    with pytest.raises(FileNotFoundError):
        subject.code_key("ml.nothing")
