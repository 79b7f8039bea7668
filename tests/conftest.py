"""What every test shares: one thread, no network, and the two sources that nobody here wrote."""

import os
import sys
from pathlib import Path

import pytest

# Before numpy or torch is imported: two cores are shared, and a sum depends on the number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parent.parent
# Groups of tests that stay with one worker, the longest first: begun last, they leave the other one waiting.
LONG_GROUPS = ("platform", "leak", "gibleed", "definitions", "dbt", "test_adaptation_classes")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file with one worker, so that its fixtures are made once, and begin with the long groups."""

    def place(item: pytest.Item) -> int:
        mark = item.get_closest_marker("xdist_group")
        assert mark is not None
        return LONG_GROUPS.index(mark.args[0]) if mark.args[0] in LONG_GROUPS else len(LONG_GROUPS)

    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where groups are ignored: every platform run would be made by each worker.

    pytest 9.2 with pytest-xdist 3.8 does so without a word (pytest-dev/pytest-xdist#1386).
    """
    groups = session.config.getoption("loadgroup", False)
    if groups and any("@" not in item.nodeid for item in session.items):
        raise pytest.UsageError("pytest-xdist ignores the groups of tests: install what constraints.txt pins")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder `<repository>/../shared/data`, or a skip that says so."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no OMOP sources at ../shared/data beside `{ROOT.name}`")
    return folder


@pytest.fixture(autouse=True)
def _one_torch_thread():
    """Set torch back to one thread before a test, once something has imported it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
