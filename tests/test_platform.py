"""The platform as its users run it: the command line, end to end, on a small simulated study."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("platform")]

STUDY = """
name = "small"
question = "Does the small study run?"
data = "simulated"
tasks = ["dhf_1y"]
max_examples_per_task = 900
configurations = 2
bootstrap_replicates = 200

[source]
simulate = { persons = 6000, seed = 3 }

[[arm]]
name = "chance"
model = "prior"
regime = "fit"
input = "none"

[[arm]]
name = "count_lr"
model = "logistic_regression"
regime = "fit"
input = "counts"

[[arm]]
name = "count_gbm"
model = "lightgbm"
regime = "fit"
input = "counts"

[[arm]]
name = "minilm_frozen"
model = "minilm"
regime = "frozen"
input = "text"
max_tokens = 32

[[comparison]]
challenger = "minilm_frozen"
reference = "count_gbm"
task = "dhf_1y"
margin = 0.05
reason = "a test"
"""
TEXTS = "patient_text_text_minilm_32"
ARMS = ("chance", "count_lr", "count_gbm", "minilm_frozen")


class Ran:
    """A home and how the last command on it ended."""

    def __init__(self, folder: Path, study: str, **environment: str):
        self.home = folder / "home"
        path = folder / "study.toml"
        path.write_text(study, encoding="utf-8")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SECOND_OPINION", "DAGSTER"))}
        self.environment = {
            **kept,
            "SECOND_OPINION_STUDY": str(path),
            "SECOND_OPINION_HOME": str(self.home),
            **environment,
        }

    def command(self, *words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env={**self.environment, **environment},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def second_opinion(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.command(str(Path(sys.executable).with_name("second-opinion")), *words)

    def plain_dagster(
        self, cwd: Path, select: str = "*", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        dagster = str(Path(sys.executable).with_name("dagster"))
        words = ("asset", "materialize", "-m", "orchestration.definitions", "--select", select)
        return self.command(dagster, *words, cwd=cwd, **environment)

    def records(self) -> dict[str, dict]:
        found = {}
        for file in sorted((self.home / "steps").rglob("*.json")):
            found[file.relative_to(self.home / "steps").with_suffix("").as_posix()] = json.loads(
                file.read_text()
            )
        return found

    def files(self) -> dict[str, bytes]:
        return {
            file.name: file.read_bytes() for file in sorted((self.home / "predictions").rglob("*.parquet"))
        }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    ran = Ran(tmp_path_factory.mktemp("small"), STUDY)
    done = ran.second_opinion("run")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert "Report: " in done.stdout
    return ran


def test_every_file_of_the_contract_is_there(small: Ran) -> None:
    published = ("person", "cohort", "attrition", "label", "split", "clinical_event", "example_input")
    expected = [f"published/{name}.parquet" for name in (*published, "concept", "concept_ancestor")]
    expected += [f"predictions/dhf_1y/{arm}.parquet" for arm in ARMS]
    expected += [
        f"report/{name}" for name in ("index.html", "metrics.csv", "verdicts.csv", "costs.csv", "checks.csv")
    ]
    expected += ["published/manifest.json", "registration.json", "held_out_log.jsonl", "warehouse.duckdb"]
    missing = [name for name in expected if not (small.home / name).exists()]
    assert not missing


def test_tables_have_the_columns_of_the_contract(small: Ran) -> None:
    contract = {
        "metrics": "task, arm, split, metric, value, ci_low, ci_high, n, n_cases, seed, k, draw, subgroup",
        "verdicts": "task, metric, challenger, reference, margin, delta, ci_low, ci_high, level, verdict,"
        " sentence, reading",
        "costs": "task, arm, step, wall_s, cpu_s, peak_bytes, accelerator_s, tokens, bytes, reused",
        "checks": "name, task, looked_at, found, limit, severity, passed",
    }
    for name, columns in contract.items():
        table = pd.read_csv(small.home / "report" / f"{name}.csv")
        assert list(table.columns) == columns.split(", "), name
        assert len(table), name


def _over_runs(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the held-out rows of all examples, one an arm and metric: over its seeds if it has several."""
    rows = metrics[(metrics["split"] == "held_out") & (metrics["subgroup"] == "all")]
    return rows.sort_values("seed", kind="stable").groupby(["arm", "metric"], sort=True).tail(1)


def _mean_over_seeds(predictions: pd.DataFrame, metric: str) -> float:
    held_out = predictions[predictions["split"] == "held_out"]
    found = []
    for _, run in held_out.groupby("seed"):
        if metric == "brier":
            found.append(((run["y_true"] - run["y_score"]) ** 2).mean())
        else:
            score = {"auroc": roc_auc_score, "auprc": average_precision_score}[metric]
            found.append(score(run["y_true"], run["y_score_raw"]))
    return sum(found) / len(found)


def test_metrics_are_those_of_scikit_learn_on_the_predictions(small: Ran) -> None:
    metrics = _over_runs(pd.read_csv(small.home / "evaluation" / "tables" / "metrics.csv"))
    values = metrics.set_index(["arm", "metric"])["value"]
    for arm in ARMS:
        predictions = pd.read_parquet(small.home / "predictions" / "dhf_1y" / f"{arm}.parquet")
        for metric in ("auroc", "auprc", "brier"):
            assert values[arm, metric] == pytest.approx(_mean_over_seeds(predictions, metric)), (arm, metric)


def test_no_arm_beats_the_oracle_and_counts_beat_chance(small: Ran) -> None:
    metrics = _over_runs(pd.read_csv(small.home / "evaluation" / "tables" / "metrics.csv"))
    auroc = metrics[metrics["metric"] == "auroc"].set_index("arm")["value"]
    assert auroc["oracle"] > auroc[["count_gbm", "count_lr", "minilm_frozen"]].max()
    assert auroc["chance"] == pytest.approx(0.5)
    assert auroc["count_gbm"] > 0.55


def test_count_baselines_are_scored_on_own_dates_too(small: Ran) -> None:
    metrics = _over_runs(pd.read_csv(small.home / "report" / "metrics.csv"))
    found = metrics.set_index(["arm", "metric"])["value"]
    own_date = metrics[metrics["metric"].str.startswith("auroc_own_date")]
    assert sorted(set(own_date["arm"])) == ["count_gbm", "count_lr"]
    for arm in ("count_gbm", "count_lr"):
        own = pd.read_parquet(small.home / "tasks" / "dhf_1y" / "own_date" / "refits" / f"{arm}.parquet")
        assert found[arm, "auroc_own_date"] == pytest.approx(_mean_over_seeds(own, "auroc"))
        difference = found[arm, "auroc_own_date"] - found[arm, "auroc"]
        assert found[arm, "auroc_own_date_difference"] == pytest.approx(difference)


def test_predictions_hold_one_row_a_run_and_labelled_example_of_the_cut(small: Ran) -> None:
    example = pd.read_parquet(small.home / "tasks" / "dhf_1y" / "examples" / "example.parquet")
    assert len(example) <= 900
    labelled = set(example.loc[example["y_true"].notna(), "example_id"])
    for arm in ARMS:
        predictions = pd.read_parquet(small.home / "predictions" / "dhf_1y" / f"{arm}.parquet")
        assert not predictions.duplicated(["example_id", "seed"]).any()
        assert predictions["seed"].nunique() == (3 if arm == "count_gbm" else 1)
        for _, run in predictions.groupby("seed"):
            assert set(run["example_id"]) == labelled


def test_second_run_computes_nothing_and_changes_no_byte(small: Ran, tmp_path: Path) -> None:
    before, predictions = small.records(), small.files()
    report = (small.home / "report" / "index.html").read_bytes()
    started = time.monotonic()
    done = small.second_opinion("run")
    took = time.monotonic() - started
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(before) >= 12
    assert small.records() == before
    assert small.files() == predictions
    assert (small.home / "report" / "index.html").read_bytes() == report
    assert took < 60, f"{took:.0f} s for a run that computes nothing"


def test_plain_dagster_command_from_another_folder_gives_the_same_artefacts(
    small: Ran, tmp_path: Path
) -> None:
    before = small.records()
    done = small.plain_dagster(tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    assert small.records() == before


def test_multiprocess_executor_finds_the_same_steps_done(small: Ran, tmp_path: Path) -> None:
    """Of the task and the report alone: each step is a process of two seconds."""
    before = small.records()
    selection = "group:dhf_1y or group:report"
    done = small.plain_dagster(tmp_path, selection, SECOND_OPINION_EXECUTOR="multiprocess")
    assert done.returncode == 0, done.stderr[-4000:]
    assert small.records() == before


def test_changed_prediction_is_noticed_and_made_again(small: Ran) -> None:
    path = small.home / "predictions" / "dhf_1y" / "count_lr.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    done = small.second_opinion("run", "--select", "key:dhf_1y/prediction/count_lr")
    assert done.returncode == 0, done.stderr[-4000:]
    assert path.read_bytes() == good


def test_nothing_of_a_patient_stands_in_records_logs_or_dagster(small: Ran) -> None:
    example = pd.read_parquet(small.home / "tasks" / "dhf_1y" / "examples" / "example.parquet")
    texts = pd.read_parquet(small.home / "tasks" / "dhf_1y" / TEXTS / "text.parquet")["text"]
    secrets = [*example["example_id"].head(200), *(text[:60] for text in texts.head(200))]
    assert len(secrets) >= 400
    looked = 0
    for folder in ("steps", "dagster", "dbt", "report"):
        for file in (small.home / folder).rglob("*"):
            if file.is_file():
                looked += 1
                content = file.read_bytes()
                assert not any(secret.encode() in content for secret in secrets), file.name
    assert looked > 20


def test_home_is_readable_by_its_owner_only(small: Ran) -> None:
    open_to_others = [
        f.name for f in small.home.rglob("*") if not f.is_symlink() and f.stat().st_mode & 0o077
    ]
    assert not open_to_others


def test_registration_precedes_every_reading_of_held_out(small: Ran) -> None:
    registered = json.loads((small.home / "registration.json").read_text())
    readings = [json.loads(line) for line in (small.home / "held_out_log.jsonl").read_text().splitlines()]
    assert {row["arm"] for row in readings} == {*ARMS, "own_date_sensitivity"}
    assert len(registered) == 1
    assert all(registered[0]["registered_at"] <= row["at"] for row in readings)
    assert {row["study_sha256"] for row in readings} == {registered[0]["study_sha256"]}


def test_another_study_is_refused_by_the_home(small: Ran) -> None:
    done = small.command(
        str(Path(sys.executable).with_name("second-opinion")), "run", SECOND_OPINION_STUDY="studies/demo.toml"
    )
    assert done.returncode == 2
    assert "belongs to study `small`" in done.stderr
