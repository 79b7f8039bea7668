"""A leak on its way through the platform: refused by its check, the other task ends; signed off, it runs."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from test_platform import STUDY, Ran

from ml.simulator.source import write_source

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("leak")]

CHECK, WORDS = "no_code_gives_the_outcome_away", "No code gives the outcome away"
ARMS = STUDY.partition('[[arm]]\nname = "count_gbm"')[0]
LEAKY = (
    ARMS.replace('data = "simulated"', 'data = "synthetic"')
    .replace("simulate = { persons = 6000, seed = 3 }", "")
    .replace('["dhf_1y"]', '["dhf_1y", "gi_bleed_1y"]')
)
SIGNED = f"""
[[signed_off]]
check = "{CHECK}"
task = "dhf_1y"
reason = "the drug was planted to see this sentence."
"""
DIABETES, HEART_FAILURE, DRUG = 201826, 316139, 35603224  # an injection that nobody else is given


def write_leaky_source(folder: Path) -> Path:
    """Simulate persons; 3 of 5 with heart failure in the year after diabetes get a drug the day before it."""
    write_source(folder / "cdm", folder / "world", persons=6000, seed=3)
    above = pd.read_parquet(folder / "cdm" / "concept_ancestor.parquet")
    conditions = pd.read_parquet(folder / "cdm" / "condition_occurrence.parquet")

    def first(root: int) -> pd.Series:
        family = {root, *above.loc[above["ancestor_concept_id"] == root, "descendant_concept_id"]}
        own = conditions[conditions["condition_concept_id"].isin(family)]
        return own.groupby("person_id")["condition_start_date"].min()

    days = pd.concat([first(DIABETES), first(HEART_FAILURE)], axis=1, join="inner").sort_index()
    days.columns = ["index", "outcome"]
    after = (pd.to_datetime(days["outcome"]) - pd.to_datetime(days["index"])).dt.days
    cases = days[after.between(1, 365)]
    cases = cases[cases.index % 5 < 3]
    path = folder / "cdm" / "drug_exposure.parquet"
    drugs = pd.read_parquet(path)
    assert len(cases) > 60 and DRUG not in set(drugs["drug_concept_id"])
    day = pd.to_datetime(cases["index"]) - pd.Timedelta(days=1)
    planted = drugs.head(1).loc[drugs.index[:1].repeat(len(cases))].assign(
        drug_exposure_id=range(10**12, 10**12 + len(cases)), person_id=cases.index, drug_concept_id=DRUG,
        drug_exposure_start_date=day.dt.date.to_numpy(), drug_exposure_end_date=day.dt.date.to_numpy(),
        visit_occurrence_id=None, drug_exposure_start_datetime=None, drug_exposure_end_datetime=None,
    )  # fmt: skip
    pd.concat([drugs, planted.astype(drugs.dtypes)], ignore_index=True).to_parquet(path, index=False)
    return folder / "cdm"


class Ended:
    """How a run ended, and the tables of its report."""

    def __init__(self, ran: Ran):
        done = ran.second_opinion("run")
        self.code, self.said = done.returncode, done.stdout + done.stderr
        report = ran.home / "report"
        self.page = (report / "index.html").read_text(encoding="utf-8")
        self.checks = pd.read_csv(ran.home / "evaluation" / "tables" / "checks.csv")
        self.metrics = pd.read_csv(report / "metrics.csv")
        self.predictions = {file.parent.name for file in (ran.home / "predictions").rglob("*.parquet")}
        self.fitted = {path.name for path in (ran.home / "fitted").iterdir()}
        self.refusals = {
            file.parent.name: json.loads(file.read_text())["reason"]
            for file in (ran.home / "predictions").rglob("*.refused.json")
        }

    def row(self, task: str) -> pd.Series:
        return self.checks[(self.checks["name"] == CHECK) & (self.checks["task"] == task)].iloc[0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Ended]:
    """One home, run as it is and again with the check signed off."""
    folder = tmp_path_factory.mktemp("leak")
    source = write_leaky_source(folder)
    ran = Ran(folder, LEAKY, SECOND_OPINION_SOURCE=str(source))
    blocked = Ended(ran)
    (folder / "study.toml").write_text(LEAKY + SIGNED, encoding="utf-8")
    return blocked, Ended(ran)


def test_a_leak_refuses_every_arm_of_its_task_and_the_other_ends(runs: tuple[Ended, Ended]) -> None:
    blocked, _ = runs
    assert blocked.code == 1, blocked.said[-4000:]
    assert blocked.refusals == {"dhf_1y": f"check `{CHECK}` failed"}
    assert blocked.predictions == blocked.fitted == {"gi_bleed_1y"}
    assert set(blocked.metrics["task"]) == {"gi_bleed_1y"}
    assert f"Refused: chance, count_lr on dhf_1y: leakage: check `{CHECK}` failed" in blocked.said


def test_the_report_names_the_check_what_it_looked_at_and_found(runs: tuple[Ended, Ended]) -> None:
    blocked, _ = runs
    row = blocked.row("dhf_1y")
    assert (row["severity"], bool(row["passed"])) == ("block", False)
    assert row["looked_at"] > 300 and row["found"] >= 1
    assert bool(blocked.row("gi_bleed_1y")["passed"])
    section = blocked.page.partition('id="refusals"')[2].partition("</section>")[0]
    assert "<strong>chance, count_lr</strong> on dhf_1y" in section
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", section.partition('<tr class="failed">')[2])
    assert WORDS in cells[0] and "is had by cases alone" in cells[0]
    assert cells[1:5] == ["dhf_1y", str(row["looked_at"]), "1", "0"]
    table = blocked.page.partition('id="checks"')[2].partition('<tr class="failed">')[2].partition("</tr>")[0]
    assert WORDS in table and "dhf_1y" in table and "blocked" in table
    assert "What the leakage checks could not have seen" in blocked.page


def test_signed_off_the_task_runs_and_the_report_says_so_first(runs: tuple[Ended, Ended]) -> None:
    _, signed = runs
    assert signed.code == 0, signed.said[-4000:]
    assert signed.refusals == {}
    assert signed.predictions == {"dhf_1y", "gi_bleed_1y"} == set(signed.metrics["task"])
    row = signed.row("dhf_1y")
    assert (row["severity"], bool(row["passed"])) == ("signed_off", False)
    sentence = (
        f"{WORDS}, on dhf_1y: signed off because the drug was planted to see this sentence."
        " It failed, and the task went on."
    )
    assert 0 < signed.page.find(sentence) < signed.page.find('id="answer"')
    assert f"Signed off: {sentence}" in signed.said
