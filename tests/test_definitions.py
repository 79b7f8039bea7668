"""The graph: lineage from OMOP table to report, groups, owners, descriptions, and what starts it."""

import os
from pathlib import Path

import dagster as dg
import pytest

from orchestration.graph import build_definitions
from orchestration.platform import Platform, platform_of
from orchestration.task_checks import checks_of
from orchestration.triggers import study_job, study_schedule, study_sensor

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    return platform_of({"SECOND_OPINION_HOME": str(tmp_path_factory.mktemp("graph") / "home")})


@pytest.fixture(scope="module")
def definitions(platform: Platform) -> dg.Definitions:
    return build_definitions(platform)


def test_report_descends_from_every_landed_table_that_is_staged(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    reached, waiting = set(), [dg.AssetKey("report")]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting.extend(graph.get(key).parent_keys)
    landed = {key.path[1] for key in reached if key.path[0] == "omop"}
    staged = {"person", "observation_period", "visit_occurrence", "condition_occurrence", "drug_exposure"}
    staged |= {"procedure_occurrence", "measurement", "observation", "death", "concept", "concept_ancestor"}
    assert staged <= landed


def test_every_asset_has_a_description_a_group_and_an_owner(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys() if graph.get(key).is_materializable]
    assert len(nodes) > 50
    bare = [
        n.key.to_user_string()
        for n in nodes
        if not n.description or n.group_name == "default" or not n.owners
    ]
    assert not bare


def test_every_arm_of_every_task_is_an_asset_of_its_tasks_group(
    definitions: dg.Definitions, platform: Platform
) -> None:
    graph = definitions.resolve_asset_graph()
    arms = [(task, arm.name) for task in platform.tasks for arm in platform.study.arms]
    assert len(arms) == 8
    for task, arm in arms:
        assert graph.get(dg.AssetKey([task, "prediction", arm])).group_name == task


def test_no_arm_reads_the_oracle_or_the_snapshot(definitions: dg.Definitions, platform: Platform) -> None:
    graph = definitions.resolve_asset_graph()
    looked = 0
    for task in platform.tasks:
        for arm in platform.study.arms:
            parents = graph.get(dg.AssetKey([task, "prediction", arm.name])).parent_keys
            looked += 1
            assert dg.AssetKey([task, "oracle"]) not in parents
            assert dg.AssetKey("published") not in parents
            assert dg.AssetKey([task, "examples"]) in parents
    assert looked == 8


def test_the_sensitivity_analysis_follows_the_arms_that_it_fits_again_and_only_the_report_reads_it(
    definitions: dg.Definitions, platform: Platform
) -> None:
    graph = definitions.resolve_asset_graph()
    looked = 0
    for task in platform.tasks:
        node = graph.get(dg.AssetKey([task, "own_date_sensitivity"]))
        looked += 1
        arms = {key.path[-1] for key in node.parent_keys if "prediction" in key.path}
        assert arms == {"count_lr", "count_gbm"}
        assert node.child_keys == {dg.AssetKey("report")}
    assert looked == 2


def test_every_check_of_a_task_is_an_asset_check_of_its_examples(
    definitions: dg.Definitions, platform: Platform
) -> None:
    graph = definitions.resolve_asset_graph()
    for name, task in platform.tasks.items():
        checks = graph.get(dg.AssetKey([name, "examples"])).check_keys
        assert {check.name for check in checks} == {check.name for check in checks_of(task)}


def test_the_tests_of_a_model_are_one_check(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    of_dbt = [key for key in graph.asset_check_keys if key.asset_key.path[0] in ("warehouse", "catalogue")]
    assert len(of_dbt) > 30
    assert {key.name for key in of_dbt} == {"dbt_tests"}


def test_data_quality_is_judged_before_a_task_and_shown_as_few_checks(
    definitions: dg.Definitions, platform: Platform
) -> None:
    graph = definitions.resolve_asset_graph()
    quality = graph.get(dg.AssetKey("quality"))
    names = {key.name for key in quality.check_keys}
    of_tasks = {f"rows_of_{task}" for task in platform.tasks}
    assert names == {"conformance", "completeness", "plausibility", "drift"} | of_tasks
    for task in platform.tasks:
        assert dg.AssetKey("quality") in graph.get(dg.AssetKey([task, "examples"])).parent_keys


def test_nothing_is_partitioned_and_values_are_not_returned(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert len(keys) > 50
    assert not [key for key in keys if graph.get(key).is_partitioned]


def sensor_tick(platform: Platform, instance: dg.DagsterInstance, cursor: str | None):
    sensor = study_sensor(platform, study_job())
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    return sensor(context)


@pytest.fixture
def on_source(tmp_path: Path) -> Platform:
    source = tmp_path / "source"
    source.mkdir()
    (source / "person.csv").write_text("person_id\n1\n")
    return platform_of(
        {
            "SECOND_OPINION_STUDY": str(ROOT / "studies" / "gibleed.toml"),
            "SECOND_OPINION_HOME": str(tmp_path / "home"),
            "SECOND_OPINION_SOURCE": str(source),
        }
    )


def test_sensor_asks_for_a_run_after_two_equal_looks_and_once_only(on_source: Platform) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensor_tick(on_source, instance, None)
        assert not first.run_requests
        second = sensor_tick(on_source, instance, first.cursor)
        assert len(second.run_requests) == 1
        third = sensor_tick(on_source, instance, second.cursor)
        assert isinstance(third, dg.SkipReason)


def test_sensor_looks_again_when_the_source_is_still_changing(on_source: Platform) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensor_tick(on_source, instance, None)
        (on_source.source / "person.csv").write_text("person_id\n1\n2\n")
        second = sensor_tick(on_source, instance, first.cursor)
        assert not second.run_requests
        third = sensor_tick(on_source, instance, second.cursor)
        assert len(third.run_requests) == 1
        assert third.run_requests[0].run_key


def test_sensor_and_schedule_skip_while_a_run_is_going(on_source: Platform) -> None:
    with dg.instance_for_test() as instance:
        first = sensor_tick(on_source, instance, None)

        @dg.job
        def nothing() -> None:
            pass

        instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
        assert isinstance(sensor_tick(on_source, instance, first.cursor), dg.SkipReason)
        schedule = study_schedule(on_source, study_job())
        tick = schedule.evaluate_tick(dg.build_schedule_context(instance=instance))
        assert tick.skip_message and "going" in tick.skip_message


def test_schedule_asks_with_the_fingerprint_of_the_source(on_source: Platform) -> None:
    with dg.instance_for_test() as instance:
        schedule = study_schedule(on_source, study_job())
        tick = schedule.evaluate_tick(dg.build_schedule_context(instance=instance))
        sensor_first = sensor_tick(on_source, instance, None)
        key = sensor_tick(on_source, instance, sensor_first.cursor).run_requests[0].run_key
        assert [request.run_key for request in tick.run_requests or []] == [key]


def test_manifest_holds_no_path_of_home_or_source(platform: Platform, definitions: dg.Definitions) -> None:
    manifest = (platform.home.dbt / "target" / "manifest.json").read_text(encoding="utf-8")
    assert str(platform.home.landing) not in manifest
    assert str(platform.source) not in manifest


def test_loading_the_code_location_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, orchestration.definitions;"
        "print([m for m in ('torch', 'transformers', 'great_expectations', 'lightgbm') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"
