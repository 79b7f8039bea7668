"""What holds of every dbt model, read from the parsed project."""

import json
from pathlib import Path
from typing import Any

import pytest
from dbt_world import dbt

GRAIN_TESTS = {"unique", "unique_combination", "same_row_count"}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("parsed")
    done = dbt(folder, "parse", "--vars", "{landing: /a/secret/place}")
    assert done.returncode == 0, done.stdout
    text = Path(folder / "target" / "manifest.json").read_text(encoding="utf-8")
    return text, json.loads(text)


def test_manifest_holds_no_path_of_a_source(parsed: tuple[str, dict[str, Any]]) -> None:
    text, manifest = parsed
    assert len(manifest["sources"]) == 13
    assert "secret" not in text


def test_every_model_and_seed_says_its_grain_and_a_test_holds_it(
    parsed: tuple[str, dict[str, Any]],
) -> None:
    nodes = parsed[1]["nodes"].values()
    held = {
        node["attached_node"]
        for node in nodes
        if node["resource_type"] == "test" and node.get("test_metadata", {}).get("name") in GRAIN_TESTS
    }
    described = [node for node in nodes if node["resource_type"] in ("model", "seed")]
    assert len(described) >= 50
    for node in described:
        last = node["description"].strip().split(". ")[-1].removeprefix("Grain: ")
        assert last.startswith("one row per "), node["name"]
        assert node["unique_id"] in held, node["name"]


def test_every_column_of_a_published_relation_is_typed_and_its_order_is_given(
    parsed: tuple[str, dict[str, Any]],
) -> None:
    published = [
        n for n in parsed[1]["nodes"].values() if n.get("config", {}).get("meta", {}).get("published")
    ]
    assert len(published) == 16
    for node in published:
        assert node["config"]["contract"]["enforced"], node["name"]
        assert set(node["config"]["meta"]["order_by"]) <= set(node["columns"])


def test_no_concept_id_stands_in_the_sql(parsed: tuple[str, dict[str, Any]]) -> None:
    nodes = [n for n in parsed[1]["nodes"].values() if n["resource_type"] == "model"]
    assert len(nodes) >= 45
    for node in nodes:
        words = node["raw_code"].replace("(", " ").replace(",", " ").split()
        numbers = [word for word in words if word.isdigit() and len(word) > 3]
        assert numbers in ([], ["9223372036854775808"]), node["name"]
