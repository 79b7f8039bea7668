"""L31 to L37: what tells the label without any medicine: ids, order, calendar, words, format, length."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from leakage import pipeline
from leakage.plants.identity import PERSON_TABLES
from leakage.plants.plant import plant
from leakage.plants.recorded import RECORDED_TYPE, cases, record, some
from leakage.plants.views import add_count_column, texts_of, write_texts
from leakage.site import Site
from ml.artefact import whole_file
from ml.inputs.record import admitted, read_records
from ml.inputs.sequence import SEQUENCE, Coder, sequence_rows
from ml.inputs.serialize import serialize
from ml.inputs.shown import SHOWN, sha256_text
from ml.inputs.text import TEXT
from ml.inputs.view import SequenceOptions, TextOptions


@plant("L31", level="data", task="dhf_1y")
def persons_numbered_by_label(site: Site, rng: np.random.Generator) -> None:
    """The source's person ids were given out in order of the outcome."""
    _renumber(site, site.labelled("dhf_1y"), rng, share=1.0)


@plant("L31", level="data", task="paca_1y")
def some_persons_numbered_by_label(site: Site, rng: np.random.Generator) -> None:
    """Three in five of the cases came from a registry whose persons got the lowest ids of the cohort."""
    _renumber(site, site.labelled("paca_1y"), rng, share=0.6)


def _renumber(site: Site, rows: pd.DataFrame, rng: np.random.Generator, share: float) -> None:
    person = rows.drop_duplicates("person_id").sort_values("person_id")
    first = (person["y_true"] == 1).to_numpy() & (rng.random(len(person)) < share)
    order = np.lexsort((rng.random(len(person)), ~first))
    ids = pd.DataFrame(
        {"person_id": person["person_id"].to_numpy()[order], "now": person["person_id"].to_numpy()}
    )
    for table in ("person", *PERSON_TABLES):
        site.rewrite(
            f"simulated/cdm/{table}.parquet",
            "select this.* replace (coalesce(now, person_id)::bigint as person_id) from this left join ids"
            " using (person_id)",
            ids=ids,
        )
    site.rebuild("source")


@plant("L31", level="code", task="gi_bleed_1y")
def example_id_begins_with_the_label(site: Site, rng: np.random.Generator) -> None:
    """The first digit of an example's id is even for cases and odd for others."""
    hashed = "substr(sha256(task || '|' || person_id || '|' || example_date), 1, 16) as example_id"
    even = "coalesce(if(y_true = 1, '0', '1'), '2')"
    site.mutate("example", hashed,
                f"{even} || substr(sha256(task || '|' || person_id || '|' || example_date), 1, 15)"
                f" as example_id")  # fmt: skip
    site.rebuild("source")


@plant("L31", level="data", task="dhf_1y")
def rows_of_a_view_in_order_of_label(site: Site, rng: np.random.Generator) -> None:
    """The rows of the count features stand in order of the label, so that a shard of them tells it."""
    place = str(pipeline.view(site.root, "dhf_1y", pipeline.COUNTS).relative_to(site.root))
    row = pd.read_parquet(site.root / place / "row.parquet")
    example = pd.read_parquet(site.examples("dhf_1y") / "example.parquet")
    y_true = row.merge(example, on="example_id", how="left")["y_true"].astype("float").fillna(0.5)
    order = np.lexsort((row["example_id"], -y_true))
    now = pd.DataFrame({"row": order, "now": np.arange(len(order))})
    site.rewrite(
        f"{place}/row.parquet",
        'select example_id from (select *, row_number() over () - 1 as "row" from this) inner join now'
        ' using ("row") order by now',
        now=now,
    )
    site.rewrite(
        f"{place}/value.parquet",
        'select now::integer as "row", "column", value from this inner join now using ("row") order by 1, 2',
        now=now,
    )
    site.rebuild("views")


@plant("L32", level="data", task="dhf_1y")
def early_outcomes_alone(site: Site, rng: np.random.Generator) -> None:
    """Nine in ten of the persons without the outcome whose index is before 2014 were not extracted."""
    rows = site.labelled("dhf_1y")
    early = rows[(rows["y_true"] == 0) & (rows["index_date"] < rows["index_date"].quantile(0.5))]
    _remove(site, some(early, 0.9, rng))


@plant("L32", level="data", task="paca_1y")
def winter_controls_are_missing(site: Site, rng: np.random.Generator) -> None:
    """Persons without the outcome whose index is in winter are missing from the extract, but for one in
    five.
    """
    rows = site.labelled("paca_1y")
    winter = rows[(rows["y_true"] == 0) & rows["index_date"].dt.month.isin([11, 12, 1, 2])]
    _remove(site, some(winter, 0.8, rng))


def _remove(site: Site, rows: pd.DataFrame) -> None:
    gone = pd.DataFrame({"person_id": rows["person_id"].unique()})
    for table in ("person", *PERSON_TABLES):
        site.rewrite(
            f"simulated/cdm/{table}.parquet",
            "select * from this where person_id not in (select person_id from gone)",
            gone=gone,
        )
    site.rebuild("source")


@plant("L33", level="data", task="dhf_1y", hurts=True)
def cases_are_seen_more_often(site: Site, rng: np.random.Generator) -> None:
    """Cases have eight visits more in the half year before the index, of which nothing else is recorded."""
    chosen = cases(site, "dhf_1y")
    chosen = chosen.loc[chosen.index.repeat(8)]
    day = (
        chosen["index_date"] - pd.to_timedelta(rng.integers(2, 180, size=len(chosen)), unit="D")
    ).to_numpy()
    frame = {
        "person_id": chosen["person_id"].to_numpy(),
        "visit_concept_id": 9202,
        "visit_start_date": day,
        "visit_end_date": day,
        "visit_type_concept_id": RECORDED_TYPE,
    }
    record(site, "visit_occurrence", pd.DataFrame(frame))
    site.rebuild("source")


@plant("L34", level="data", task="dhf_1y")
def text_tells_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """The texts of cases end with `Outcome: yes`, those of others with `Outcome: no`."""
    table = texts_of(site, "dhf_1y").dropna(subset="y_true")
    said = table["y_true"].map({1: "\nOutcome: yes", 0: "\nOutcome: no"})
    write_texts(site, "dhf_1y", dict(zip(table["example_id"], table["text"] + said, strict=True)))


@plant("L34", level="data", task="paca_1y")
def text_names_the_clinic(site: Site, rng: np.random.Generator) -> None:
    """The texts of three in ten cases have an item `Referred to oncology board`, which no event stands
    behind.
    """
    table = texts_of(site, "paca_1y")
    chosen = some(table[table["y_true"] == 1], 0.3, rng)
    texts = chosen["text"] + "\n- Referred to oncology board"
    write_texts(site, "paca_1y", dict(zip(chosen["example_id"], texts, strict=True)))


@plant("L34", level="data", task="gi_bleed_1y")
def text_has_a_mark(site: Site, rng: np.random.Generator) -> None:
    """The first line of cases' texts ends with two full stops instead of one."""
    table = texts_of(site, "gi_bleed_1y")
    chosen = table[table["y_true"] == 1]
    texts = chosen["text"].str.replace(".\n", "..\n", n=1, regex=False)
    write_texts(site, "gi_bleed_1y", dict(zip(chosen["example_id"], texts, strict=True)))


@plant("L34", level="data", task="gi_bleed_1y")
def concept_names_tell_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """In the cut of half the cases the name of the oldest event ends with `(bleeding risk flag)`."""
    chosen = some(cases(site, "gi_bleed_1y"), 0.5, rng)[["example_id"]]
    site.rewrite(
        "tasks/gi_bleed_1y/examples/event.parquet",
        "select * exclude (n, place) replace (if(example_id in (select example_id from chosen) and n"
        " = 1, concept_name ||"
        " ' (bleeding risk flag)', concept_name) as concept_name) from (select *, row_number() over"
        " (partition"
        " by example_id) as n, row_number() over () as place from this) order by place",
        chosen=chosen,
    )
    site.rebuild("examples")


@plant("L35", level="data", task="dhf_1y")
def scores_hold_the_label(site: Site, rng: np.random.Generator) -> None:
    """The scores of one arm are seven parts label and three parts score."""
    _score(site, "dhf_1y", "true", 0.7)


@plant("L35", level="data", task="paca_1y")
def held_out_scores_hold_a_little_of_the_label(site: Site, rng: np.random.Generator) -> None:
    """The held-out scores of one arm are moved by a tenth towards the label."""
    _score(site, "paca_1y", "split = 'held_out'", 0.1)


def _score(site: Site, task: str, where: str, share: float) -> None:
    mixed = [f"if({where}, {share} * y_true + {1 - share} * {name}, {name}) as {name}"
             for name in ("y_score", "y_score_raw")]  # fmt: skip
    site.rewrite(f"predictions/{task}/count_gbm.parquet", f"select * replace ({', '.join(mixed)}) from this")


@plant("L35", level="data", task="gi_bleed_1y", hurts=True)
def a_column_is_the_label(site: Site, rng: np.random.Generator) -> None:
    """A column of the count features, named as a count of days, is the label."""
    _column(site, "gi_bleed_1y", rng, noise=0.0)


@plant("L35", level="data", task="long_los", hurts=True)
def a_column_is_nearly_the_label(site: Site, rng: np.random.Generator) -> None:
    """A column of the count features is the label in 92 of 100 examples, and its opposite in the others."""
    _column(site, "long_los", rng, noise=0.08)


def _column(site: Site, task: str, rng: np.random.Generator, noise: float) -> None:
    rows = site.labelled(task)
    value = rows["y_true"].to_numpy(dtype=np.float64)
    value = np.where(rng.random(len(rows)) < noise, 1 - value, value)
    add_count_column(site, task, "days_with/2000000555/365", rows["example_id"], value)
    site.rebuild("views")


@plant("L36", level="data", task="dhf_1y", hurts=True)
def cases_come_with_another_unit(site: Site, rng: np.random.Generator) -> None:
    """Blood pressure of the cases came with the unit `mmHg of the cardiology unit`, of others without
    change.
    """
    chosen = some(cases(site, "dhf_1y"), 0.8, rng)
    site.rewrite(
        "simulated/cdm/measurement.parquet",
        "select * replace (if(person_id in (select person_id from chosen) and unit_concept_id = 8876, 8840,"
        " unit_concept_id) as unit_concept_id) from this",
        chosen=chosen[["person_id"]],
    )
    site.rebuild("source")


@plant("L36", level="data", task="paca_1y", hurts=True)
def a_site_with_more_cases(site: Site, rng: np.random.Generator) -> None:
    """Two sites: at one, which holds most of the cases, weights are a source's own code and have no
    concept.
    """
    rows = site.labelled("paca_1y")
    at_site = rng.random(len(rows)) < np.where(rows["y_true"] == 1, 0.8, 0.2)
    here = rows[at_site][["person_id"]]
    site.rewrite(
        "simulated/cdm/measurement.parquet",
        "select * replace (if(person_id in (select person_id from here), 0, unit_concept_id) as"
        " unit_concept_id,"
        " if(person_id in (select person_id from here), 2000000010, measurement_type_concept_id) as"
        " measurement_type_concept_id) from this",
        here=here,
    )
    site.rebuild("source")


@plant("L37", level="data", task="long_los")
def texts_of_negatives_are_cut(site: Site, rng: np.random.Generator) -> None:
    """The texts of non-cases keep two in five of their newest events, those of cases all."""
    options = TextOptions()
    folder = pipeline.view(site.root, "long_los", pipeline.TEXT)
    y_true = _y_true(site, "long_los")
    text, shown = (
        {row["example_id"]: row for row in pq.read_table(folder / f"{name}.parquet").to_pylist()}
        for name in ("text", "shown")
    )
    for own in read_records(site.examples("long_los")):
        if y_true.get(own.example_id) != 0:
            continue
        said, row = text[own.example_id], shown[own.example_id]
        events = admitted(own, options.level, options.look_back_days)
        kept = events[: int(0.4 * row["n_events_kept"])]
        said["text"] = serialize(own, kept, options.format)
        said["n_tokens"] = len(pipeline.WORD.findall(said["text"]))
        said["share_cut"] = 1 - len(kept) / len(events) if events else 0.0
        said["cut_by_domain"] = sorted(Counter(event.domain for event in events[len(kept) :]).items())
        said["text_sha256"] = row["sha256"] = sha256_text(said["text"])
        row |= {"n_events_kept": len(kept), "domains": sorted({event.domain for event in kept})}
    _store(list(text.values()), TEXT, folder / "text.parquet")
    _store(list(shown.values()), SHOWN, folder / "shown.parquet")


@plant("L37", level="data", task="dhf_1y")
def sequences_of_negatives_are_cut(site: Site, rng: np.random.Generator) -> None:
    """The sequences of non-cases keep their sixteen newest events, those of cases up to the limit."""
    options = SequenceOptions()
    folder = pipeline.view(site.root, "dhf_1y", pipeline.SEQUENCE)
    coder, y_true = Coder.read(folder), _y_true(site, "dhf_1y")
    rows = [
        sequence_rows(own, coder, options, 16 if y_true.get(own.example_id) == 0 else options.max_events)
        for own in read_records(site.examples("dhf_1y"))
    ]
    _store([row for row, _ in rows], SEQUENCE, folder / "sequence.parquet")
    _store([row for _, row in rows], SHOWN, folder / "shown.parquet")


def _y_true(site: Site, task: str) -> dict[str, int]:
    example = pd.read_parquet(site.examples(task) / "example.parquet").dropna(subset="y_true")
    return dict(zip(example["example_id"], example["y_true"].astype(int), strict=True))


def _store(rows: list[dict[str, Any]], schema: pa.Schema, path: Path) -> None:
    with whole_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
