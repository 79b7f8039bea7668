"""The oracle: against counted rollouts, against what happens, and at its edges."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.simulator.oracle import auroc, outcome_processes, true_risk
from ml.simulator.processes import INDEX, STEP_DAYS
from ml.simulator.restart import restart
from ml.simulator.source import PERSONS_FILE, write_source
from ml.simulator.state import advance
from ml.simulator.step import draw
from ml.simulator.switches import Switches

HEART_FAILURE = {316139, 319835, 4229440}
PANCREATIC_CANCER = {4180793, 2000000004}
BLEED = {192671}


def simulated(folder: Path, *, persons: int, seed: int) -> Path:
    write_source(folder / "cdm", folder / "world", persons=persons, seed=seed)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("oracle"), persons=2500, seed=13)


def examples_of(folder: Path, entry: str, outcome: set[int]) -> pd.DataFrame:
    """Return examples at the first `entry` (a query of person_id, index_date), labelled over a year."""
    con = duckdb.connect(config={"threads": 1})
    for path in (folder / "cdm").glob("*.parquet"):
        con.execute(f"create view {path.stem} as from read_parquet('{path}')")
    con.execute(
        """create view diagnosis as select c.person_id, condition_concept_id as concept_id,
            condition_start_date as event_date, case when visit_concept_id in (9201, 9203, 262)
            then visit_end_date else condition_start_date end as available_date
        from condition_occurrence c left join visit_occurrence using (visit_occurrence_id)"""
    )
    found = con.execute(
        f"""with entry as ({entry}),
        outcome as (select person_id, min(event_date) as day, min(available_date) as known from diagnosis
            where concept_id in (select unnest($outcome)) group by 1)
        select person_id, index_date, case when day <= index_date then null
            when day <= index_date + 365 then 1.0 when death_date <= index_date + 365 then 0.0
            when observation_period_end_date < index_date + 365 then null else 0.0 end as y_true
        from entry join observation_period using (person_id)
        left join outcome using (person_id) left join death using (person_id)
        where index_date between observation_period_start_date + 365 and observation_period_end_date
        and (known is null or known > index_date) and index_date < date '2024-01-01' order by person_id""",
        {"outcome": sorted(outcome)},
    ).df()
    return found.assign(example_id=[f"{person:016x}" for person in found["person_id"]])


DIABETES = (
    "select person_id, min(available_date) as index_date from diagnosis where concept_id = 201826 group by 1"
)
PAIN = """select person_id, min(available_date) as index_date from diagnosis
    where concept_id in (201826, 2000000001, 2000000002, 2000000003) group by 1"""
NSAID = """select person_id, min(drug_exposure_start_date) as index_date from drug_exposure
    where drug_concept_id in (1118084, 1118088, 1124300, 40162359) group by 1"""


def risks(folder: Path, examples: pd.DataFrame, outcome: set[int], **options: object) -> pd.DataFrame:
    window = {"tar_start_days": 1, "tar_end_days": 365, "seed": 1} | options
    columns = ["example_id", "person_id", "index_date"]
    return true_risk(folder / "world", examples[columns], outcome_concept_ids=outcome, **window)


def counted_risk(
    folder: Path, example: pd.Series, outcome: str, first_day: int, last_day: int, rollouts: int
) -> tuple[float, int]:
    """Return the share of cases among labelled rollouts, by a plain loop in which outcomes happen."""
    day = np.array([(example["index_date"] - pd.Timestamp("1970-01-01")).days])
    start = restart(folder / "world", np.array([example["person_id"]]), day).take(
        np.zeros(rollouts, dtype=int)
    )
    rng = np.random.default_rng(99)
    fate = [""] * rollouts
    index = int(start.known_to[0])
    left = int(start.left[0])
    for step in range(index // STEP_DAYS + (last_day + index) // STEP_DAYS + 1):
        known = {"known_to": start.known_to, "known": start.known} if step == 0 else {}
        drawn = draw(start.state, Switches(), rng, left=np.full(rollouts, left - STEP_DAYS * step), **known)
        mine = drawn.events.process == INDEX[outcome]
        happened = dict(zip(drawn.events.row[mine].tolist(), drawn.events.day[mine].tolist(), strict=True))
        for row in range(rollouts):
            if fate[row]:
                continue
            if row in happened:
                after = STEP_DAYS * step + happened[row] - index
                fate[row] = "early" if after < first_day else "case" if after <= last_day else "late"
            elif drawn.ended[row]:
                after = STEP_DAYS * step + int(drawn.end[row]) - index
                fate[row] = "dead" if drawn.died[row] else "lost" if after < last_day else "late"
        advance(start.state, start.known.plus(drawn.events) if step == 0 else drawn.events)
    cases = fate.count("case")
    return cases / (rollouts - fate.count("lost") - fate.count("early")), cases


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "outcome", "process", "window"),
    [
        (DIABETES, HEART_FAILURE, "heart_failure", (1, 365)),
        (PAIN, PANCREATIC_CANCER, "pancreatic_cancer", (1, 365)),
        (NSAID, BLEED, "gastrointestinal_bleed", (31, 200)),
    ],
)
def test_the_closed_form_is_what_counted_rollouts_tend_to(
    folder: Path, entry: str, outcome: set[int], process: str, window: tuple[int, int]
) -> None:
    examples = examples_of(folder, entry, outcome).iloc[:4]
    found = risks(
        folder,
        examples,
        outcome,
        tar_start_days=window[0],
        tar_end_days=window[1],
        agreement=0,
        most_rollouts=1024,
    )
    assert (found["n_rollouts"] == 1024).all()
    z = []
    for (_, example), p, error in zip(examples.iterrows(), found["p"], found["standard_error"], strict=True):
        counted, _ = counted_risk(folder, example, process, *window, rollouts=2500)
        z.append((counted - p) / np.sqrt(p * (1 - p) / 2500 + error**2))
    assert np.abs(z).max() < 3.5, z
    assert abs(np.sum(z)) / 2 < 3.5


@pytest.mark.slow
def test_the_oracle_is_calibrated_on_a_fresh_world(tmp_path: Path) -> None:
    world = simulated(tmp_path, persons=32_768, seed=77)
    cases = 0.0
    for entry, outcome in ((DIABETES, HEART_FAILURE), (PAIN, PANCREATIC_CANCER)):
        examples = examples_of(world, entry, outcome).dropna(subset="y_true")
        p = risks(world, examples, outcome)["p"].to_numpy()
        y_true = examples["y_true"].to_numpy()
        cases += y_true.sum()
        assert abs(y_true.sum() - p.sum()) < 3 * np.sqrt((p * (1 - p)).sum())
        chi2 = 0.0
        for mine in np.array_split(np.argsort(p), 10):
            chi2 += (y_true[mine].sum() - p[mine].sum()) ** 2 / (p[mine] * (1 - p[mine])).sum()
        assert chi2 < 29.6  # 99.9% of a chi-squared with ten degrees of freedom
        shuffled = np.random.default_rng(0).permutation(p)
        assert auroc(p, p, y_true) > 0.75
        assert abs(auroc(shuffled, p, y_true) - 0.5) < 0.05
    assert cases >= 1000


def test_risks_do_not_depend_on_the_order_of_the_examples_and_do_on_the_seed(folder: Path) -> None:
    examples = examples_of(folder, DIABETES, HEART_FAILURE).iloc[:30]
    found = risks(folder, examples, HEART_FAILURE).set_index("example_id")
    back = risks(folder, examples.iloc[::-1], HEART_FAILURE).set_index("example_id")
    assert list(back.index) == list(examples["example_id"])[::-1]
    assert found["p"].equals(back["p"].reindex(found.index))
    other = risks(folder, examples, HEART_FAILURE, seed=2).set_index("example_id")
    assert not found["p"].equals(other["p"])
    error = np.hypot(found["standard_error"], other["standard_error"])
    assert (np.abs(found["p"] - other["p"]) / error).median() < 2
    assert found["p"].between(0, 1).all()


def test_rollouts_rise_until_two_halves_agree(folder: Path) -> None:
    examples = examples_of(folder, PAIN, PANCREATIC_CANCER).iloc[:150]
    loose = risks(folder, examples, PANCREATIC_CANCER, agreement=0.5)
    strict = risks(folder, examples, PANCREATIC_CANCER, agreement=0, most_rollouts=128)
    assert (loose["n_rollouts"] == 32).all()
    assert (strict["n_rollouts"] == 128).all()
    assert strict["standard_error"].mean() < 0.7 * loose["standard_error"].mean()


def test_a_longer_time_at_risk_holds_a_shorter_one(folder: Path) -> None:
    examples = examples_of(folder, DIABETES, HEART_FAILURE).iloc[:60]
    short = risks(folder, examples, HEART_FAILURE, tar_end_days=90)["p"]
    long = risks(folder, examples, HEART_FAILURE, tar_end_days=365)["p"]
    assert (short < long).all()


def test_dead_on_the_index_day_is_no_risk_and_lost_on_it_is_unknown(folder: Path) -> None:
    people = pq.read_table(folder / "world" / PERSONS_FILE).to_pandas()
    people["index_date"] = pd.to_datetime(people["start"] + people["last_day"], unit="D")
    people["example_id"] = people["person_id"].astype(str)
    chosen = pd.concat([people[people["died"]].iloc[:5], people[~people["died"]].iloc[:5]])
    found = risks(folder, chosen, HEART_FAILURE, first_rollouts=4, most_rollouts=4)
    assert (found["p"].to_numpy()[:5] == 0).all()
    assert found["p"].isna().to_numpy()[5:].all()


def test_outcomes_are_whole_processes() -> None:
    assert outcome_processes(HEART_FAILURE) == (INDEX["heart_failure"],)
    assert outcome_processes(PANCREATIC_CANCER | BLEED) == (
        INDEX["pancreatic_cancer"],
        INDEX["gastrointestinal_bleed"],
    )
    with pytest.raises(ValueError, match="holds 1 of the 2 concepts of the process `heart_failure`"):
        outcome_processes({316139})
    with pytest.raises(ValueError, match="No process of this world"):
        outcome_processes({319835})
    with pytest.raises(ValueError, match="also recorded at admissions"):
        outcome_processes({255848, 192671})


def test_a_time_at_risk_that_starts_on_the_index_day_is_refused(folder: Path) -> None:
    examples = examples_of(folder, DIABETES, HEART_FAILURE).iloc[:2]
    with pytest.raises(ValueError, match=r"Time-at-risk of 0\.\.365 days"):
        risks(folder, examples, HEART_FAILURE, tar_start_days=0)


def test_auroc_counts_ordered_pairs() -> None:
    labels, score = np.array([0.0, 1.0, 0.0, 1.0, np.nan]), np.array([0.1, 0.1, 0.2, 0.9, 0.5])
    pairs = [(0.1, 0.1, 0.5), (0.1, 0.2, 0.0), (0.9, 0.1, 1.0), (0.9, 0.2, 1.0)]
    assert auroc(score, score, labels) == sum(value for *_, value in pairs) / 4
    risk = np.array([0.2, 0.8])
    expected = (0.8 * 0.8 + 0.5 * (0.2 * 0.8 + 0.8 * 0.2)) / (1.0 * 1.0)
    assert auroc(risk, risk, None) == pytest.approx(expected)
