"""Patient texts: age and sex first, what fits of the newest events, and no name breaks their structure."""

import hashlib
import re
from collections import defaultdict
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from input_cut import write_cut
from published_world import make_world, write_world

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.text import instruction_prefix, read_patient_texts, write_patient_texts
from ml.inputs.view import LEVELS, TextOptions
from ml.strict import InputError

FORMATS = ("concat", "list_recent", "list_recent_freq", "markdown")


def count_words(prompts: list[str]) -> list[int]:
    """A tokenizer of its own: words and marks, with one special token at either end."""
    return [len(re.findall(r"\w+|[^\w\s]", prompt)) + 2 for prompt in prompts]


def written(examples: Path, form: str = "list_recent_freq", max_tokens: int = 10_000, prefix: str = "",
            **options) -> tuple[dict, pd.DataFrame]:  # fmt: skip
    target = examples.parent / "text"
    facts = write_patient_texts(
        examples, target, TextOptions(form, **options), prefix=prefix, max_tokens=max_tokens,
        count_tokens=count_words, progress=lambda line: None,
    )  # fmt: skip
    text = pd.read_parquet(target / "text.parquet")
    shown = pd.read_parquet(target / "shown.parquet").drop(columns="sha256")
    assert text["example_id"].is_monotonic_increasing
    return facts, text.merge(shown, on="example_id", validate="one_to_one")


def text_of(folder: Path, events: list[tuple], form: str, **options) -> str:
    return written(write_cut(folder / "cut", events), form, **options)[1]["text"].iloc[0]


def number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")


def admitted(own: pd.DataFrame, level: str, look_back_days: int | None) -> pd.DataFrame:
    kept = own if level == "ALL" else own[own["domain"].isin(LEVELS[level])]
    kept = kept if look_back_days is None else kept[kept["days_before"] <= look_back_days]
    return kept.iloc[::-1]


def expected_lines(kept: pd.DataFrame, *, frequency: bool) -> list[str]:
    """Plain pandas: a line a concept, most recent first, its latest value, its distinct days."""
    lines = []
    for (domain, _, name), rows in kept.groupby(["domain", "concept_id", "concept_name"]):
        measured = rows[rows["value_as_number"].notna()].sort_values(
            ["days_before", "value_as_number"], ascending=[True, False]
        )
        words = name
        if len(measured):
            latest = measured.iloc[0]
            unit = f" {latest['unit_name']}" if pd.notna(latest["unit_name"]) else ""
            words += f" = {number(latest['value_as_number'])}{unit}"
        days = rows["days_before"].nunique()
        words += f" [{days} times]" if frequency and days > 1 else ""
        lines.append((rows["days_before"].min(), domain, name, f"- {words}"))
    return [line for *_, line in sorted(lines)]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder / "published", make_world(1, persons=60))
    cut_examples(folder / "published", "first_1y", folder / "cut", ExampleOptions(None, 1))
    return folder / "cut"


def records(world: Path):
    event = pd.read_parquet(world / "event.parquet")
    for row in pd.read_parquet(world / "example.parquet").itertuples():
        sex = row.sex if isinstance(row.sex, str) else "person"
        yield row.example_id, f"{row.age}-year-old {sex}", event[event["example_id"] == row.example_id]


@pytest.mark.parametrize("max_tokens", [10_000, 20])
@pytest.mark.parametrize(("level", "look_back"), [("ALL", None), ("D", None), ("DMP", 200), ("ALL", 100)])
@pytest.mark.parametrize("frequency", [False, True])
def test_lists_are_what_brute_force_writes_of_the_newest_events(
    world, frequency, level, look_back, max_tokens
):
    form = "list_recent_freq" if frequency else "list_recent"
    _, found = written(world, form, max_tokens, level=level, look_back_days=look_back)
    assert len(found) > 40
    by_example = found.set_index("example_id")
    for example_id, head, own in records(world):
        row = by_example.loc[example_id]
        events = admitted(own, level, look_back)
        kept = events.head(row["n_events_kept"])
        lines = expected_lines(kept, frequency=frequency) or ["Nothing recorded."]
        assert row["text"] == "\n".join([f"{head}.", *lines])
        assert row["n_events_in_view"] == len(events)
        assert list(row["domains"]) == sorted(kept["domain"].unique())
        assert dict(row["cut_by_domain"]) == events.iloc[len(kept) :]["domain"].value_counts().to_dict()
        assert row["share_cut"] == pytest.approx(1 - len(kept) / len(events) if len(events) else 0)
    assert (found["share_cut"] > 0).any() == (max_tokens == 20)


def test_concatenation_holds_every_description_oldest_first_and_nothing_else(world):
    _, found = written(world, "concat")
    by_example = found.set_index("example_id")["text"]
    for example_id, head, own in records(world):
        ordered = own.sort_values(["days_before", "domain", "concept_name"], ascending=[False, True, True])
        names = "; ".join(ordered["concept_name"]) or "Nothing recorded."
        assert by_example[example_id] == f"{head}. {names}"


def test_markdown_shows_values_and_visits_in_sections(tmp_path):
    events = [
        ("e1", 1, 5, "Hypertension", "Condition", 90, None, None, 1),
        ("e1", 2, 9, "HbA1c", "Measurement", 90, 6.8, "%", 1),
        ("e1", 3, 9202, "Outpatient Visit", "Visit", 90, None, None, 1),
        ("e1", 4, 9201, "Inpatient Visit", "Visit", 12, None, None, 2),
        ("e1", 5, 6, "Pneumonia", "Condition", 11, None, None, 2),
        ("e1", 6, 7, "amoxicillin", "Drug", 11, None, None, 2),
        ("e1", 7, 9201, "Inpatient Visit", "Visit end", 9, None, None, 2),
        ("e1", 8, 9, "HbA1c", "Measurement", 1, 7.125, "%", 3),
    ]
    assert text_of(tmp_path, events, "markdown") == "\n".join(
        [
            "# 63-year-old female",
            "## Latest values",
            "- HbA1c = 7.12 % [1 day before]; 6.8 % [90 days before]",
            "## Visits",
            "### 12 to 9 days before: Inpatient Visit",
            "- Conditions: Pneumonia",
            "- Drugs: amoxicillin",
            "### 90 days before: Outpatient Visit",
            "- Conditions: Hypertension",
        ]
    )


def test_the_latest_three_values_of_a_concept_are_shown_newest_first(tmp_path):
    events = [("e1", n, 9, "HbA1c", "Measurement", 50 - n, float(n), "%", n) for n in range(1, 7)]
    line = text_of(tmp_path, events, "markdown").splitlines()[2]
    assert line == "- HbA1c = 6 % [44 days before]; 5 % [45 days before]; 4 % [46 days before]"


def test_a_result_without_a_number_is_named(tmp_path):
    cut = write_cut(tmp_path / "cut", [("e1", 1, 9, "Nitrite", "Measurement", 3, None, None, 1)],
                    results={1: (4181412, "Present")})  # fmt: skip
    assert written(cut, "list_recent")[1]["text"].iloc[0] == "63-year-old female.\n- Nitrite = Present"


def test_persons_of_unknown_age_or_sex_and_empty_records_have_a_text(tmp_path):
    people = [("e1", 40, None), ("e2", 50, "male"), ("e3", None, "female")]
    for form in FORMATS:
        found = written(write_cut(tmp_path / form / "cut", [], people), form)[1]["text"]
        heads = ("40-year-old person", "50-year-old male", "female of unknown age")
        for text, head in zip(found, heads, strict=True):
            assert text.startswith((f"{head}.", f"# {head}\n"))
            assert text.endswith("Nothing recorded.")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("max_tokens", [16, 23, 33])
def test_every_text_fits_its_context_and_one_more_event_would_not(world, form, max_tokens):
    prefix = "Judge this record: "
    _, found = written(world, form, max_tokens, prefix)
    assert (found["n_tokens"] <= max_tokens).all()
    assert found["n_tokens"].tolist() == count_words([prefix + text for text in found["text"]])
    _, whole = written(world, form, 10_000, prefix)
    assert found["n_tokens_whole"].tolist() == whole["n_tokens"].tolist()
    assert ((found["share_cut"] > 0) == (whole["n_tokens"] > max_tokens)).all()
    cut = found[found["share_cut"] > 0]
    assert len(cut) > 5
    for row in cut.itertuples():
        # Either nearly full, or the next event does not fit.
        more = _with_events(world, row.example_id, form, row.n_events_kept + 1)
        assert row.n_tokens >= 0.98 * max_tokens or count_words([prefix + more])[0] > max_tokens


def _with_events(world: Path, example_id: str, form: str, n: int) -> str:
    from ml.inputs.record import read_records
    from ml.inputs.serialize import serialize

    (record,) = [one for one in read_records(world) if one.example_id == example_id]
    return serialize(record, record.events[::-1][:n], form)


def test_a_context_that_does_not_hold_the_head_is_refused(world):
    with pytest.raises(InputError, match=r"A context of 5 tokens does not hold the instruction with age"):
        written(world, max_tokens=5)


def test_an_instruction_stands_in_the_models_own_template():
    asked = {"question": "Will it rain?", "template": "Instruct: {instruction}\nQuery:"}
    task = instruction_prefix(TextOptions(instruction="task"), **asked)
    neutral = instruction_prefix(TextOptions(instruction="neutral"), **asked)
    assert task.startswith("Instruct: ") and task.endswith("Will it rain?\nQuery:")
    assert "rain" not in neutral and neutral.endswith("\nQuery:")
    assert instruction_prefix(TextOptions(), **asked) == ""


def test_the_same_record_is_the_same_text_for_everyone(tmp_path):
    # Within a day events are numbered by a hash of the person: it must not show.
    numbers = {"e1": (1, 2, 3), "e2": (3, 1, 2)}
    events = [
        (example, no, n, f"Finding {n}", "Condition", 5, None, None, 1)
        for example, own in numbers.items()
        for n, no in enumerate(own)
    ]
    cut = write_cut(tmp_path / "cut", sorted(events), [("e1", 63, "female"), ("e2", 63, "female")])
    for form in FORMATS:
        facts, found = written(cut, form)
        assert found["text"].nunique() == facts["distinct_texts"] == 1


def test_frequency_counts_distinct_days_and_never_rows(tmp_path):
    days = (300, 300, 300, 20, 20, 7)
    events = [("e1", n, 5, "Cough", "Condition", day, None, None, n) for n, day in enumerate(days)]
    assert text_of(tmp_path, events, "list_recent_freq").endswith("\n- Cough [3 times]")
    once = [("e1", n, 5, "Cough", "Condition", 7, None, None, 1) for n in range(4)]
    assert text_of(tmp_path / "once", once, "list_recent_freq").endswith("\n- Cough")


def test_texts_are_read_in_the_order_that_was_asked_and_none_is_invented(world):
    _, found = written(world, prefix="Judge: ")
    ids = found["example_id"].tolist()[::-3]
    read = read_patient_texts(world.parent / "text", ids)
    assert read.prefix == "Judge: "
    assert read.texts == found.set_index("example_id").loc[ids, "text"].tolist()
    with pytest.raises(ValueError, match="1 of 2 examples have no row"):
        read_patient_texts(world.parent / "text", [ids[0], "f" * 16])


def test_the_report_counts_what_was_cut(world):
    facts, found = written(world, "markdown", 40)
    cut = defaultdict(int)
    for row in found["cut_by_domain"]:
        for domain, n in dict(row).items():
            cut[f"cut_of_{domain.lower()}"] += n
    assert facts["texts"] == len(found)
    assert facts["texts_cut"] == (found["share_cut"] > 0).sum() > 0
    assert facts["tokens"] == found["n_tokens"].sum()
    assert {name: n for name, n in facts.items() if name.startswith("cut_of_")} == cut
    n_events = found["n_events_in_view"].sum()
    assert facts["share_of_events_cut"] == pytest.approx(sum(cut.values()) / n_events, abs=1e-6)
    assert found["text_sha256"].tolist() == [hashlib.sha256(t.encode()).hexdigest() for t in found["text"]]


def test_the_same_cut_is_the_same_bytes(world, tmp_path):
    written(world, "markdown", 40)
    before = {file.name: file.read_bytes() for file in (world.parent / "text").iterdir()}
    written(world, "markdown", 40)
    assert {file.name: file.read_bytes() for file in (world.parent / "text").iterdir()} == before
    with duckdb.connect() as connection:
        n = connection.execute(f"select count(*) from '{world.parent}/text/text.parquet'").fetchall()[0][0]
    assert n == len(pd.read_parquet(world / "example.parquet"))
