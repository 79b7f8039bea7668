"""A study is read strictly: every wrong fact is named, with what is allowed; its hash is its content."""

import dataclasses
from pathlib import Path

import pytest

from ml.adaptation.names import REGIME_NAMES
from ml.compatibility import require_possible_arms
from ml.inputs.view import InputView, TextOptions
from ml.models.registry import MODELS
from ml.strict import InputError, read_fields
from ml.study import Arm, Comparison, SignedOff, Simulate, Source, Study, read_study
from ml.tasks import read_tasks

ROOT = Path(__file__).resolve().parent.parent
TASKS = ("dhf_1y", "paca_1y")
MODEL_NAMES = ("prior", "logistic_regression", "minilm")

GOOD = """
name = "small"
question = "Is it good enough?"
data = "simulated"
tasks = ["dhf_1y"]

[source]
simulate = { persons = 100, seed = 7 }

[[arm]]
name = "count_lr"
model = "logistic_regression"
regime = "fit"
input = "counts"

[[arm]]
name = "minilm_frozen"
model = "minilm"
regime = "frozen"
input = "text"
max_tokens = 128

[[comparison]]
challenger = "minilm_frozen"
reference = "count_lr"
task = "dhf_1y"
margin = 0.05
reason = "a small source"
"""

SIGNED = """
[[signed_off]]
check = "no_proxy"
task = "dhf_1y"
reason = "the drug is given to everybody"
"""


def read(tmp_path: Path, text: str | bytes) -> Study:
    path = tmp_path / "small.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_study(
        path, tasks=TASKS, models=MODEL_NAMES, regimes=("fit", "frozen"), signable=("no_proxy",)
    )


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_a_right_study_is_read_whole(tmp_path):
    study = read(tmp_path, GOOD)
    assert study.tasks == ("dhf_1y",)
    assert study.arms == (
        Arm("count_lr", "logistic_regression", "fit", "counts"),
        Arm("minilm_frozen", "minilm", "frozen", "text", 128),
    )
    assert study.comparisons == (Comparison("minilm_frozen", "count_lr", "dhf_1y", 0.05, "a small source"),)
    assert study.source == Source(simulate=Simulate(100, 7))
    assert (study.split_salt, study.data_end, study.coding_lag_days) == ("second-opinion", "auto", 0)
    assert study.alpha == 0.05


ARM = 'name = "count_lr"\nmodel = "logistic_regression"\nregime = "fit"\ninput = "counts"'
WRONG = {
    "unknown key": (changed('data = "sim', 'dta = 1\ndata = "sim'), ["`dta`", "data", "tasks"]),
    "unknown key of an arm": (changed(ARM, ARM + "\nlayers = 3"), ["`layers`", "regime", "max_tokens"]),
    "unknown key of a comparison": (changed("margin", "delta = 1\nmargin"), ["`delta`", "margin"]),
    "unknown key of the source": (changed("simulate =", "folder = 1\nsimulate ="), ["`folder`", "path"]),
    "unknown key of simulate": (changed("seed = 7", "seed = 7, cows = 2"), ["`cows`", "persons"]),
    "unknown task": (changed('["dhf_1y"]', '["dhf_2y"]'), ["`dhf_2y`", "dhf_1y", "paca_1y"]),
    "unknown model": (changed('"minilm"', '"maxilm"'), ["`maxilm`", "minilm", "prior"]),
    "unknown regime": (changed('"frozen"', '"frosen"'), ["`frosen`", "frozen", "fit"]),
    "unknown input view": (changed('"text"', '"words"'), ["`words`", "text", "counts", "none"]),
    "unknown challenger": (
        changed('challenger = "minilm_frozen"', 'challenger = "minilm_frosen"'),
        ["`minilm_frosen`", "minilm_frozen", "count_lr"],
    ),
    "unknown reference": (
        changed('reference = "count_lr"', 'reference = "chance"'),
        ["`chance`", "count_lr"],
    ),
    "comparison on a task that the study does not have": (
        changed('task = "dhf_1y"', 'task = "paca_1y"'),
        ["`paca_1y`", "dhf_1y"],
    ),
    "missing question": (changed('question = "Is it good enough?"', ""), ["`question`"]),
    "missing data": (changed('data = "simulated"', ""), ["`data`"]),
    "missing tasks": (changed('tasks = ["dhf_1y"]', ""), ["`tasks`"]),
    "no task": (changed('["dhf_1y"]', "[]").partition("[[comparison]]")[0], ["at least one task"]),
    "missing model": (changed('model = "minilm"', ""), ["`model`", "arm", "2"]),
    "missing margin": (changed("margin = 0.05", ""), ["`margin`", "comparison"]),
    "missing reason": (changed('reason = "a small source"', ""), ["`reason`"]),
    "missing persons": (changed("persons = 100, ", ""), ["`persons`"]),
    "unknown kind of data": (changed('"simulated"', '"invented"'), ["'invented'", "synthetic", "real"]),
    "unknown metric": (changed("margin", 'metric = "accuracy"\nmargin'), ["'accuracy'", "auroc"]),
    "number as text": (changed("margin = 0.05", 'margin = "0.05"'), ["'0.05'", "`margin`", "float"]),
    "text as number": (changed('name = "small"', "name = 3"), ["3", "`name`", "str"]),
    "fraction as whole number": (changed("persons = 100", "persons = 1.5"), ["1.5", "`persons`", "int"]),
    "yes as number": (changed("persons = 100", "persons = true"), ["True", "`persons`", "int"]),
    "one task outside a list": (changed('["dhf_1y"]', '"dhf_1y"'), ["'dhf_1y'", "`tasks`", "list"]),
    "number among the tasks": (changed('["dhf_1y"]', '["dhf_1y", 4]'), ["4", "`tasks`", "str"]),
    "date without quotes": (changed("[source]", "data_end = 2020-01-01\n[source]"), ["`data_end`", "str"]),
    "arm twice": (changed('name = "minilm_frozen"', 'name = "count_lr"'), ["`count_lr`", "twice"]),
    "task twice": (changed('["dhf_1y"]', '["dhf_1y", "dhf_1y"]'), ["`dhf_1y`", "twice"]),
    "margin of nothing": (changed("margin = 0.05", "margin = 0"), ["0.0", "`margin`", "above 0"]),
    "margin below nothing": (changed("margin = 0.05", "margin = -0.05"), ["-0.05", "`margin`", "above 0"]),
    "margin not a number": (changed("margin = 0.05", "margin = nan"), ["nan", "`margin`", "above 0"]),
    "margin without end": (changed("margin = 0.05", "margin = inf"), ["inf", "`margin`", "above 0"]),
    "signed check that may not be": (
        GOOD + SIGNED.replace("no_proxy", "no_prozy"),
        ["`no_prozy`", "only these checks may be signed off", "no_proxy"],
    ),
    "signed for another task": (GOOD + SIGNED.replace("dhf_1y", "paca_1y"), ["`paca_1y`", "dhf_1y"]),
    "signed without a reason": (GOOD + SIGNED.rpartition("reason")[0], ["`reason`", "signed_off", "1"]),
    "signed for nothing": (GOOD + SIGNED.replace("the drug is given to everybody", " "), ["why a failure"]),
    "signed twice": (GOOD + SIGNED + SIGNED, ["`no_proxy`", "twice", "dhf_1y"]),
    "empty reason": (changed('"a small source"', '"  "'), ["`reason`", "why this margin"]),
    "arm against itself": (changed('reference = "count_lr"', 'reference = "minilm_frozen"'), ["another arm"]),
    "real data that is simulated": (changed('"simulated"', '"real"'), ["'real'", "`data`", "simulated"]),
    "synthetic data that is simulated": (changed('"simulated"', '"synthetic"'), ["'synthetic'", "simulated"]),
    "two sources": (changed("simulate =", 'path = "x"\nsimulate ='), ["`path`", "`simulate`"]),
    "no person": (changed("persons = 100", "persons = 0"), ["0", "`persons`", "1 or more"]),
    "unknown end of data": (changed("[source]", 'data_end = "soon"\n[source]'), ["'soon'", "YYYY-MM-DD"]),
    "end of data without dashes": (changed("[source]", 'data_end = "20200101"\n[source]'), ["YYYY-MM-DD"]),
    "negative lag": (changed("[source]", "coding_lag_days = -1\n[source]"), ["`coding_lag_days`", "0 or"]),
    "alpha of one": (changed("[source]", "alpha = 1\n[source]"), ["1.0", "`alpha`", "between 0 and 1"]),
    "no configuration": (changed("[source]", "configurations = 0\n[source]"), ["0", "`configurations`"]),
    "few replicates": (changed("[source]", "bootstrap_replicates = 3\n[source]"), ["3", "100 or more"]),
    "no example": (changed("[source]", "max_examples_per_task = 0\n[source]"), ["0", "1 or more"]),
    "context of nothing": (changed("max_tokens = 128", "max_tokens = 0"), ["0", "`max_tokens`", "1 or more"]),
    "text without a context": (changed("max_tokens = 128", ""), ["`max_tokens`", "minilm_frozen"]),
    "no seed": (changed("[source]", "seeds = 0\n[source]"), ["0", "`seeds`", "1 to 20"]),
    "no draw": (changed("[source]", "draws = 0\n[source]"), ["0", "`draws`", "1 to 20"]),
    "no shot": (changed(ARM, ARM + "\nk = [0]"), ["[0]", "`k`", "count_lr", "1 or more"]),
    "shots that fall": (changed(ARM, ARM + "\nk = [8, 4]"), ["[8, 4]", "`k`", "rising"]),
    "shots beside k": (changed(ARM, ARM + "\nk = [8]\nshots = 2"), ["Unknown key `shots`", "input, k, max"]),
    "few shots in a comparison": (changed(ARM, ARM + "\nk = [8]"), ["'count_lr'", "`reference`", "all"]),
    "joins an unknown arm": (changed(ARM, ARM + '\nof = ["minilm"]'), ["`minilm`", "`of`", "minilm_frozen"]),
    "joins itself": (changed(ARM, ARM + '\nof = ["count_lr"]'), ["`count_lr`", "`of`", "minilm_frozen"]),
    "unknown head": (changed(ARM, ARM + '\nhead = "svm"'), ["'svm'", "mlp", "logistic_regression"]),
    "unknown mode": (changed(ARM, ARM + '\nmode = "one_shot"'), ["'one_shot'", "zero_shot", "in_context"]),
    "unknown key of an input": (
        changed("[source]", '[[input]]\nname = "md"\nkind = "text"\nfont = 1\n[source]'),
        ["`font`", "format", "[[input]]"],
    ),
    "input of an unknown view": (changed('input = "counts"', 'input = "md"'), ["`md`", "counts", "text"]),
    "name that is no folder": (changed('name = "small"', 'name = "../small"'), ["'../small'", "lower-case"]),
    "arm's name that is no folder": (changed('name = "count_lr"', 'name = "count lr"'), ["'count lr'"]),
    "no arm": (GOOD.partition("[[arm]]")[0], ["at least one", "[[arm]]"]),
    "one table where a list of tables is needed": (
        GOOD.partition("[[arm]]")[0] + '[arm]\nname = "chance"\n',
        ["`arm`", "list", "[[arm]]"],
    ),
    "arms that are no tables": ("arm = [3]\n" + GOOD.partition("[[arm]]")[0], ["3", "[[arm]]"]),
    "source that is no table": (
        'source = "here"\n' + GOOD.replace("[source]\nsimulate = { persons = 100, seed = 7 }", ""),
        ["'here'", "[source]"],
    ),
    "simulate that is no table": (changed("{ persons = 100, seed = 7 }", "5"), ["5", "simulate"]),
    "TOML that does not parse": (changed("[source]", "[source"), ["`small.toml`", "TOML", "line"]),
    "key given twice": (changed('data = "simulated"', 'data = "simulated"\ndata = "real"'), ["small.toml"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_study_is_refused_with_the_value_and_what_is_allowed(tmp_path, case):
    assert len(WRONG) >= 50
    text, said = WRONG[case]
    with pytest.raises(InputError) as refused:
        read(tmp_path, text)
    for words in said:
        assert words in str(refused.value)


def test_a_study_that_is_not_utf_8_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"small\.toml"):
        read(tmp_path, GOOD.replace("good enough", "bien étudié").encode("latin-1"))


def test_a_study_names_its_own_input_views(tmp_path):
    table = '[[input]]\nname = "md"\nkind = "text"\nformat = "markdown"\nlook_back_days = 365\n\n[source]'
    study = read(tmp_path, changed("[source]", table).replace('input = "text"', 'input = "md"'))
    assert study.inputs == (InputView("md", "text", TextOptions(format="markdown", look_back_days=365)),)
    assert study.views["md"] is study.inputs[0]
    assert {"none", "counts", "text", "sequence"} < set(study.views)


def test_a_near_miss_is_suggested(tmp_path):
    with pytest.raises(InputError, match="did you mean `minilm_frozen`"):
        read(tmp_path, WRONG["unknown challenger"][0])


def test_a_study_that_is_not_there_names_those_that_are(tmp_path):
    (tmp_path / "demo.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_study(tmp_path / "dmo.toml", tasks=TASKS, models=MODEL_NAMES, regimes=())
    assert "dmo.toml" in str(refused.value)
    assert "demo.toml" in str(refused.value)
    assert "SECOND_OPINION_STUDY" in str(refused.value)


def test_a_study_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"demo\.toml"):
        read_study(tmp_path / "none" / "demo.toml", tasks=TASKS, models=MODEL_NAMES, regimes=())


def studies() -> list[Path]:
    return sorted((ROOT / "studies").glob("*.toml"))


def test_every_study_of_the_repository_is_read_and_its_arms_are_possible():
    names = {path.stem for path in studies()}
    assert {"demo", "demo_all", "gibleed"} <= names
    for path in studies():
        study = read_study(
            path, tasks=read_tasks(ROOT / "dbt_project" / "seeds"), models=MODELS, regimes=REGIME_NAMES
        )
        require_possible_arms(study, MODELS)
        assert study.name == path.stem
        # Random weights and few shots give no verdict.
        assert bool(study.comparisons) == (path.stem != "demo_all")


def test_the_demo_of_all_regimes_has_every_one():
    study = read_study(
        ROOT / "studies" / "demo_all.toml",
        tasks=read_tasks(ROOT / "dbt_project" / "seeds"),
        models=MODELS,
        regimes=REGIME_NAMES,
    )
    assert {arm.regime for arm in study.arms} == set(REGIME_NAMES)
    assert {arm.mode for arm in study.arms if arm.regime == "verbalizer"} == {
        "zero_shot",
        "in_context",
        "lora",
    }
    assert {arm.head for arm in study.arms if arm.regime == "frozen"} == {"logistic_regression", "mlp"}
    assert {arm.k for arm in study.arms if arm.mode != "in_context"} == {(), (32,)}
    assert {arm.k for arm in study.arms if arm.mode == "in_context"} == {(1, 2)}  # what a prompt can show
    assert (study.seeds, study.configurations, len(study.tasks)) == (2, 1, 1)


def test_the_demo_registers_a_margin_of_0_05_on_simulated_patients():
    study = read_study(
        ROOT / "studies" / "demo.toml",
        tasks=read_tasks(ROOT / "dbt_project" / "seeds"),
        models=MODELS,
        regimes=REGIME_NAMES,
    )
    assert (study.data, study.tasks) == ("simulated", ("dhf_1y", "paca_1y"))
    assert study.source.simulate is not None
    assert {row.margin for row in study.comparisons} == {0.05}


def test_comments_layout_and_order_of_keys_do_not_change_the_hash(tmp_path):
    other = "# a comment\n" + GOOD.replace(" = ", "   =   ").replace("\n[[", "\n\n# more\n\n[[")
    other = other.replace("persons   =   100, seed   =   7", "seed = 7, persons = 1_00")
    other = other.replace('"small"', "'small'").replace("0.05", "5e-2")
    assert read(tmp_path, other).sha256 == read(tmp_path, GOOD).sha256


def test_a_default_written_out_does_not_change_the_hash(tmp_path):
    other = changed("[source]", 'alpha = 0.05\ndata_end = "auto"\n[source]')
    assert read(tmp_path, other).sha256 == read(tmp_path, GOOD).sha256


OTHER = {
    Study: {
        "name": "other",
        "question": "Other?",
        "data": "real",
        "tasks": ("paca_1y",),
        "arms": (),
        "comparisons": (),
        "source": Source(path="other"),
        "inputs": (InputView("other", "text", TextOptions()),),
        "signed_off": (),
        "seed": 1,
        "seeds": 2,
        "draws": 2,
        "split_salt": "other",
        "data_end": "none",
        "coding_lag_days": 1,
        "max_examples_per_task": 5,
        "configurations": 2,
        "bootstrap_replicates": 100,
        "alpha": 0.1,
    },
    Arm: {
        "name": "o",
        "model": "o",
        "regime": "o",
        "input": "o",
        "max_tokens": 9,
        "k": (8,),
        "of": ("o",),
        "head": "mlp",
        "mode": "lora",
        "four_bit": True,
    },
    Comparison: {
        "challenger": "o",
        "reference": "o",
        "task": "o",
        "margin": 0.9,
        "reason": "o",
        "metric": "o",
    },
    SignedOff: {"check": "o", "task": "o", "reason": "o"},
    Source: {"path": "o", "simulate": None},
    Simulate: {"persons": 9, "seed": 9},
}


def versions(study: Study):
    """Every study that differs from `study` in one field, at any depth."""
    for name, value in OTHER[Study].items():
        yield f"study.{name}", dataclasses.replace(study, **{name: value})
    for field in ("arms", "comparisons", "signed_off"):
        rows = getattr(study, field)
        for name, value in OTHER[type(rows[0])].items():
            row = dataclasses.replace(rows[0], **{name: value})
            yield f"{field}.{name}", dataclasses.replace(study, **{field: (row, *rows[1:])})
    for name, value in OTHER[Source].items():
        source = dataclasses.replace(study.source, **{name: value})
        yield f"source.{name}", dataclasses.replace(study, source=source)
    for name, value in OTHER[Simulate].items():
        simulate = dataclasses.replace(study.source.simulate, **{name: value})
        yield f"simulate.{name}", dataclasses.replace(study, source=Source(simulate=simulate))


@pytest.mark.parametrize("cls", OTHER, ids=lambda cls: cls.__name__)
def test_every_field_of_a_study_has_another_value_to_try(cls):
    assert set(OTHER[cls]) == {field.name for field in dataclasses.fields(cls)}


def test_every_field_changes_the_hash(tmp_path):
    study = read(tmp_path, GOOD + SIGNED)
    hashes = {name: other.sha256 for name, other in versions(study)}
    assert len(hashes) == sum(len(values) for values in OTHER.values())
    assert [name for name, sha256 in hashes.items() if sha256 == study.sha256] == []
    assert len(set(hashes.values())) == len(hashes)


def test_strict_reading_takes_whole_numbers_for_fractions_but_no_truth_values():
    @dataclasses.dataclass(frozen=True)
    class Row:
        share: float
        on: bool = False

    row = read_fields(Row, {"share": 1, "on": True}, where="here")
    assert (row.share, type(row.share), row.on) == (1.0, float, True)
    with pytest.raises(InputError, match="`share` in here"):
        read_fields(Row, {"share": True}, where="here")
    with pytest.raises(InputError, match="`on` in here"):
        read_fields(Row, {"share": 1, "on": 1}, where="here")
