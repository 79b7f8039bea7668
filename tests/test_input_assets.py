"""Which inputs a study's arms read, and that nothing learns from one that leaks."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from ml.artefact import write_json
from ml.inputs.view import BUILT_IN_VIEWS, InputView, ModelInput, TextOptions
from ml.study import Arm
from orchestration.home import Home
from orchestration.inputs import arm_inputs, embedding_store, input_path, study_inputs
from orchestration.sensitivity import refitted_arms
from orchestration.tasks import blocked_by, refusal_by

MARKDOWN = InputView("md", "text", TextOptions("markdown"))
ARMS = (
    Arm("chance", "prior", "fit", "none"),
    Arm("gbm", "lightgbm", "fit", "counts"),
    Arm("lr", "logistic_regression", "fit", "counts"),
    Arm("frozen", "minilm", "frozen", "text", max_tokens=128),
    Arm("frozen_md", "minilm", "frozen", "md", max_tokens=256),
    Arm("lora", "minilm", "lora", "md", max_tokens=256),
    Arm("joined", "logistic_regression", "concat", "none", of=("gbm", "frozen", "lr")),
)
TEXT = BUILT_IN_VIEWS["text"]


@pytest.fixture
def platform(tmp_path) -> SimpleNamespace:
    study = SimpleNamespace(arms=ARMS, views={**BUILT_IN_VIEWS, "md": MARKDOWN})
    return SimpleNamespace(study=study, home=Home(tmp_path))


def read_by(platform, name: str) -> tuple[ModelInput, ...]:
    return arm_inputs(platform, next(arm for arm in ARMS if arm.name == name))


def test_an_arm_reads_what_its_regime_needs_of_its_view(platform):
    counts = ModelInput(BUILT_IN_VIEWS["counts"])
    assert read_by(platform, "chance") == ()
    assert read_by(platform, "gbm") == read_by(platform, "lr") == (counts,)
    assert read_by(platform, "frozen") == (ModelInput(TEXT, "minilm", 128, embedded=True),)
    assert read_by(platform, "lora") == (ModelInput(MARKDOWN, "minilm", 256),)
    assert read_by(platform, "joined") == (counts, ModelInput(TEXT, "minilm", 128, embedded=True))


def test_a_study_makes_each_input_once_and_texts_before_their_vectors(platform):
    made = study_inputs(platform)
    assert [shown.name for shown in made] == [
        "count_features_counts",
        "patient_text_md_minilm_256",
        "patient_text_text_minilm_128",
        "embedding_md_minilm_256",
        "embedding_text_minilm_128",
    ]
    assert len({input_path(platform, "t", shown) for shown in made}) == len(made)


def store_record(home: Home, name: str, **more) -> None:
    record = {
        "name": name, "key": "k", "data_version": "v", "outputs": {}, "checks": [],
        "metadata": {"reasons": {}}, "cost": {}, "refused": None, "run_id": "r", "made_at": "now",
    }  # fmt: skip
    path = Path(home.steps / f"{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**record, **more})


def test_a_leak_keeps_every_arm_from_the_task_and_a_refused_input_those_that_read_it(platform):
    (shown,) = read_by(platform, "gbm")
    store_record(platform.home, "t/examples")
    store_record(platform.home, "quality")
    store_record(platform.home, f"t/{shown.name}")
    check = {"name": "no_leak", "severity": "block", "passed": False}
    for severity, passed, kept in (
        ("block", False, True),
        ("signed_off", False, False),
        ("block", True, False),
    ):
        store_record(platform.home, "t/leakage", checks=[{**check, "severity": severity, "passed": passed}])
        assert blocked_by(platform, "t") is None
        expected = {"guard": "leakage", "reason": "check `no_leak` failed"} if kept else None
        assert refusal_by(platform, "t", [shown]) == refusal_by(platform, "t", []) == expected
    store_record(platform.home, f"t/{shown.name}", refused={"guard": "g", "reason": "r"})
    assert refusal_by(platform, "t", [shown]) == {"guard": "g", "reason": "r"}
    assert refusal_by(platform, "t", []) is None


@pytest.mark.parametrize(
    ("task", "severity", "stops"),
    [("t", "block", True), ("", "block", True), ("u", "block", False), ("t", "warn", False)],
)
def test_data_of_a_task_that_were_judged_unfit_stop_its_arms_and_no_others(platform, task, severity, stops):
    check = {"name": "date_is_possible (death)", "task": task, "severity": severity, "passed": False}
    store_record(platform.home, "t/examples")
    store_record(platform.home, "quality", checks=[check])
    words = "check `date_is_possible (death)` of data quality failed"
    assert blocked_by(platform, "t") == (words if stops else None)


def test_a_check_that_failed_on_many_tables_is_named_once(platform):
    names = ("rows_hardly_change (death)", "rows_hardly_change (measurement)", "sex_hardly_changes")
    checks = [{"name": name, "task": "", "severity": "block", "passed": False} for name in names]
    store_record(platform.home, "t/examples")
    store_record(platform.home, "quality", checks=checks)
    assert blocked_by(platform, "t") == (
        "check `rows_hardly_change (death, measurement)` of data quality failed;"
        " check `sex_hardly_changes` of data quality failed"
    )


def test_an_embedding_knows_its_store_unless_none_was_made(platform):
    (shown,) = read_by(platform, "frozen")
    assert embedding_store(platform, "t", shown) is None
    store_record(platform.home, f"t/{shown.name}", metadata={"store": "minilm-0"})
    assert embedding_store(platform, "t", shown) == platform.home.embeddings / "minilm-0"
    refused = {"guard": "task_checks", "reason": "x"}
    store_record(platform.home, f"t/{shown.name}", metadata={}, refused=refused)
    assert embedding_store(platform, "t", shown) is None


def test_own_dates_fit_again_what_was_fitted_on_all_labels(platform):
    assert [arm.name for arm in refitted_arms(platform)] == ["gbm", "lr"]
    few_shot = tuple(dataclasses.replace(arm, k=(8,)) for arm in platform.study.arms if arm.name == "gbm")
    platform.study.arms = few_shot
    assert refitted_arms(platform) == []
