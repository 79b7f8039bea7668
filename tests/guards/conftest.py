"""What the tests of guards share: tiny models, a small cut, one thread."""

import pytest
from adaptation_world import write_tiny
from test_arm import write_examples

from ml.adaptation import tuning


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guards")
    return {name: write_tiny(name, folder) for name in ("bert", "qwen3", "llama")}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setattr(tuning, "THREADS", 1)


@pytest.fixture
def world(tmp_path):
    return write_examples(tmp_path / "w")
