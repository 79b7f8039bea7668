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
LONG_GROUPS = ("platform", "leak", "definitions", "gibleed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long groups; everything else keeps its order."""

    def place(item: pytest.Item) -> int:
        mark = item.get_closest_marker("xdist_group")
        return LONG_GROUPS.index(mark.args[0]) if mark else len(LONG_GROUPS)

    items.sort(key=place)


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
