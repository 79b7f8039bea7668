"""What stops an input, check or guard, reaches the arms that read it as a refusal, in the real assets."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from adaptation_world import write_tiny
from safetensors.torch import load_file, save_file
from test_input_assets import store_record

from ml.artefact import read_json
from ml.inputs.view import ModelInput
from ml.study import Arm, Source, Study
from ml.tasks import read_tasks
from orchestration import inputs
from orchestration.arms import arm_asset
from orchestration.child import ChildFailedError
from orchestration.home import DBT_PROJECT, claim_home
from orchestration.inputs import arm_inputs, input_assets
from orchestration.leakage import leakage_asset
from orchestration.platform import Platform
from orchestration.step import Record, find_record

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

TASKS = read_tasks(DBT_PROJECT / "seeds")
TASK = next(iter(TASKS.values()))
FROZEN = Arm("frozen", "smoke_llama", "frozen", "text", 64)
FAILED = {"name": "c", "severity": "block", "passed": False}


@pytest.fixture
def platform(tmp_path) -> Platform:
    study = Study("s", "?", "simulated", (TASK.task,), (FROZEN,), (), Source())
    models = tmp_path / "models"
    write_tiny("llama", models).rename(models / "smoke_llama")
    home = claim_home(tmp_path / "home", "s", now="now")
    store_record(home, "landing")
    store_record(home, "published")
    for name in (f"{TASK.task}/examples", "quality", f"{TASK.task}/leakage"):
        store_record(home, name)
    return Platform(study, {TASK.task: TASK}, TASKS, home, None, models, download=False)


@pytest.fixture
def shown(platform) -> ModelInput:
    (embedding,) = arm_inputs(platform, FROZEN)
    return embedding


def make(platform: Platform, *names: str) -> dict[str, tuple[Record, dg.MaterializeResult]]:
    """Carry out assets of the task in order; return each one's record and what Dagster is told."""
    assets = [*input_assets(platform, TASK), leakage_asset(platform, TASK), arm_asset(platform, TASK, FROZEN)]
    by_name = {asset.key.path[-1]: asset for asset in assets}
    made = {}
    for name in names:
        with dg.DagsterInstance.ephemeral() as instance:
            told = by_name[name](dg.build_asset_context(instance=instance))
        record = find_record(platform, "/".join(by_name[name].key.path))
        assert record is not None
        made[name] = record, told
    return made


def spoil(path: Path) -> None:
    weights = load_file(path)
    weights.pop("model.norm.weight")
    save_file(weights, path, metadata={"format": "pt"})


def require_refused_arm(platform: Platform, record: Record, guard: str, reason: str) -> None:
    assert record.refused is not None
    assert record.refused["guard"] == guard
    assert reason in record.refused["reason"]
    assert read_json(platform.home.refusal(TASK.task, FROZEN.name)) == record.refused


def test_a_leak_in_what_is_shown_refuses_the_frozen_arm(platform, shown):
    store_record(platform.home, f"{TASK.task}/{shown.text.name}")
    store_record(platform.home, f"{TASK.task}/leakage", checks=[FAILED])
    made = make(platform, shown.name, FROZEN.name)
    require_refused_arm(platform, made[FROZEN.name][0], "leakage", "check `c` failed")


def test_nothing_of_a_blocked_task_adds_a_failure_of_its_own(platform, shown):
    store_record(platform.home, f"{TASK.task}/examples", checks=[FAILED])
    made = make(platform, shown.text.name, shown.name, FROZEN.name)
    text, _ = made[shown.text.name]
    assert text.checks == []
    assert text.refused == {"guard": "task_checks", "reason": "check `c` failed"}
    refusal = made[FROZEN.name][0].refused
    assert refusal == {"guard": "task_checks", "reason": "check `c` failed"}


def test_what_an_earlier_run_showed_is_gone_where_this_one_shows_nothing(platform, shown):
    text, index = (inputs.input_path(platform, TASK.task, one) for one in (shown.text, shown))
    text.mkdir(parents=True)
    for old in (text / "text.parquet", index):
        old.write_bytes(b"of an earlier run")
    spoil(platform.models_folder / "smoke_llama" / "model.safetensors")  # a guard stops the text
    made = make(platform, shown.text.name, shown.name)
    assert not text.exists() and not index.exists()
    assert {name: record.outputs for name, (record, _) in made.items()} == {name: {} for name in made}
    text.mkdir()
    store_record(platform.home, f"{TASK.task}/examples", checks=[FAILED], data_version="other")
    make(platform, shown.text.name)
    assert not text.exists()


@pytest.mark.parametrize("step", ["published", "landing"])
def test_another_snapshot_or_source_is_checked_again_though_the_examples_are_the_same(platform, shown, step):
    store_record(platform.home, f"{TASK.task}/{shown.text.name}")
    store_record(platform.home, f"{TASK.task}/examples", checks=[FAILED])
    keys = set()
    for version in ("one", "one", "two"):
        store_record(platform.home, step, data_version=version)
        keys.add(make(platform, "leakage")["leakage"][0].key)
    assert len(keys) == 2


def test_weights_of_another_sha256_refuse_text_vectors_and_arm_until_they_are_right(platform, shown):
    path = platform.models_folder / "smoke_llama" / "model.safetensors"
    right = path.read_bytes()
    spoil(path)
    made = make(platform, shown.text.name, shown.name, FROZEN.name)
    require_refused_arm(platform, made[FROZEN.name][0], "weights_differ", "`model.safetensors`")
    assert made[shown.text.name][0].checks == []
    path.write_bytes(right)
    store_record(platform.home, f"{TASK.task}/{shown.text.name}")
    with pytest.raises(ChildFailedError):  # the weights pass now; the text it would read is not there
        make(platform, shown.name)


def test_weights_that_lack_a_tensor_refuse_vectors_and_arm(platform, shown, monkeypatch):
    store_record(platform.home, f"{TASK.task}/{shown.text.name}")
    folder = platform.models_folder / "smoke_llama"
    spoil(folder / "model.safetensors")
    # As where the registry's own file lacks it: the hashes pass, loading in the child does not.
    monkeypatch.setattr(inputs, "find_model", lambda *_, **__: folder)
    text = platform.home.input_view(TASK.task, shown.text.name) / "text.parquet"
    text.parent.mkdir(parents=True)
    pd.DataFrame({"example_id": ["0"], "text": ["fever"], "text_sha256": ["0" * 64]}).to_parquet(text)
    made = make(platform, shown.name, FROZEN.name)
    require_refused_arm(platform, made[FROZEN.name][0], "weights_differ", "1 missing keys")
