"""The check that what was shown can be recomputed: made again from the snapshot, and compared as stored.

A sample of examples is made again, and what was fitted is fitted again on a cut that holds train persons
only: a fit that had read anyone else differs.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ml.artefact import passing_folder
from ml.in_memory import in_memory
from ml.inputs.count import fit_count_columns, read_count_columns
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.record import Record, admitted, read_records
from ml.inputs.sequence import ARRAYS, Coder, sequence_rows
from ml.inputs.serialize import serialize
from ml.inputs.shortcut import calendar_row, utilisation_row
from ml.inputs.shown import read_shown, sha256_text, shown_row
from ml.inputs.view import LEVELS, CountOptions, InputView, SequenceOptions, TextOptions

SAMPLE = 50

# What a view holds of an example: what is shown, and the row of `shown.parquet` beside it.
Held = dict[str, tuple[Any, dict[str, Any]]]

TRAIN = """
select cohort.example_id
from read_parquet($cohort) as cohort
inner join read_parquet($split) as split on cohort.person_id = split.person_id
where cohort.task = $task and split.split = 'train' and cohort.example_id in (select unnest($example_id))
order by cohort.example_id
"""


def recompute(published: Path, task: str, folder: Path, view: InputView, *, seed: int) -> tuple[int, int]:
    """Make a sample of a view, and all that it was fitted to, again from the snapshot (METHODS 6).

    The sample is drawn by `seed` alone.

    Returns:
        how many things were looked at (examples, and what was fitted as one), and how many are not the same.
    """
    example_id = read_shown(folder)["example_id"].to_numpy()
    chosen = sorted(np.random.default_rng(seed).permutation(len(example_id))[:SAMPLE])
    n_differ = differing(published, task, folder, view, example_id[chosen].tolist())
    fits, fits_differ = differing_fits(published, task, folder, view)
    return len(chosen) + fits, n_differ + fits_differ


def differing(published: Path, task: str, folder: Path, view: InputView, example_id: list[str]) -> int:
    """Make these examples again from a snapshot, with what is stored as fitted; count those that differ.

    The number of newest events that were recorded says what each example shows. The cut lies beside `folder`
    while this runs.
    """
    with passing_folder(folder.with_name(f".{folder.name}.recompute")) as cut:
        cut_examples(published, task, cut / "sample", ExampleOptions(None, 0), only=example_id)
        return differing_from(cut / "sample", folder, view, example_id)


def differing_from(cut: Path, folder: Path, view: InputView, example_id: list[str]) -> int:
    """Do as `differing`, from a cut that holds these examples: one cut does for several views."""
    shown = read_shown(folder).set_index("example_id")
    sample = shown.loc[sorted(set(example_id) & set(shown.index))]
    stored, again = COMPARED[view.kind](folder, cut, view.options, sample)
    return sum(one not in stored or again.get(one) != stored[one] for one in example_id)


def differing_fits(published: Path, task: str, folder: Path, view: InputView) -> tuple[int, int]:
    """Fit a view again on its train examples, cut from a snapshot; return how many fits, and how many differ.

    What is fitted again sees train persons only: a fit that had read anyone else differs.
    """
    ((fits, differ),) = differing_fits_of(published, task, [(folder, view)])
    return fits, differ


def differing_fits_of(
    published: Path, task: str, views: Sequence[tuple[Path, InputView]]
) -> list[tuple[int, int]]:
    """Do as `differing_fits` for several views; those of the same train examples are fitted on one cut."""
    found = {folder: (0, 0) for folder, _ in views}
    same_train: dict[tuple[str, ...], list[tuple[Path, CountOptions | SequenceOptions]]] = defaultdict(list)
    for folder, view in views:
        if isinstance(view.options, CountOptions | SequenceOptions):
            train = _train_examples(published, task, read_shown(folder)["example_id"].tolist())
            same_train[tuple(train)].append((folder, view.options))
    for train, fitted in same_train.items():
        first, _ = fitted[0]
        with passing_folder(first.with_name(f".{first.name}.recompute")) as cut:
            cut_examples(published, task, cut / "train", ExampleOptions(None, 0), only=train)
            for folder, options in fitted:
                found[folder] = 1, int(not _is_fit_of(cut / "train", folder, options))
    return [found[folder] for folder, _ in views]


def _is_fit_of(train: Path, folder: Path, options: CountOptions | SequenceOptions) -> bool:
    if isinstance(options, SequenceOptions):
        return Coder.fit(train, options) == Coder.read(folder)
    return list(read_count_columns(folder).items()) == list(fit_count_columns(train, options).items())


def _train_examples(published: Path, task: str, example_id: list[str]) -> list[str]:
    with in_memory(published.parent) as connection:
        paths = {name: str(published / f"{name}.parquet") for name in ("cohort", "split")}
        rows = connection.execute(TRAIN, {**paths, "task": task, "example_id": example_id}).fetchall()
    return [example for (example,) in rows]


def _texts(folder: Path, cut: Path, options: TextOptions, sample: pd.DataFrame) -> tuple[Held, Held]:
    columns = ["example_id", "text"]
    texts = {row["example_id"]: row["text"] for row in _stored_rows(folder, "text", columns, sample)}
    again: Held = {}
    for record, n_kept in _as_recorded(cut, sample):
        events = admitted(record, options.level, options.look_back_days)
        text = serialize(record, events[:n_kept], options.format)
        again[record.example_id] = text, shown_row(record.example_id, events[:n_kept], len(events), text)
    return _held(texts, sample), again


def _sequences(folder: Path, cut: Path, options: SequenceOptions, sample: pd.DataFrame) -> tuple[Held, Held]:
    rows = _stored_rows(folder, "sequence", ["example_id", *ARRAYS], sample)
    coder = Coder.read(folder)
    again: Held = {
        record.example_id: sequence_rows(record, coder, options, n_kept)
        for record, n_kept in _as_recorded(cut, sample)
    }
    return _held({row["example_id"]: row for row in rows}, sample), again


def _counts(folder: Path, cut: Path, options: CountOptions, sample: pd.DataFrame) -> tuple[Held, Held]:
    """Count again in plain Python, a second way beside the SQL that made the view."""
    columns = read_count_columns(folder)
    above: dict[int, list[int]] = defaultdict(list)
    if options.ancestors:
        for pair in pq.read_table(cut / "ancestor.parquet").to_pylist():
            above[pair["concept_id"]].append(pair["ancestor_concept_id"])
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in pq.read_table(cut / "event.parquet").to_pylist():
        if event["example_id"] in sample.index and _is_admitted(event, options):
            events[event["example_id"]].append(event)
    counted: dict[str, dict[str, float]] = {}
    for person in pq.read_table(cut / "example.parquet").to_pylist():
        if person["example_id"] not in sample.index:
            continue
        row = _count_row(person, events[person["example_id"]], options, above)
        counted[person["example_id"]] = {name: row[name] for name in row if row[name] and name in columns}
    hashes = _row_hashes(counted, cut)
    again: Held = {
        example_id: (row, _count_shown(example_id, events[example_id], hashes[example_id]))
        for example_id, row in counted.items()
    }
    return _held(_stored_counts(folder, list(columns), sample), sample), again


def _is_admitted(event: dict[str, Any], options: CountOptions) -> bool:
    levels, look_back = LEVELS[options.level], options.look_back_days
    return (
        options.counted != "calendar"
        and (not levels or event["domain"] in levels)
        and (look_back is None or event["days_before"] <= look_back)
    )


def _count_row(
    person: dict[str, Any],
    own: list[dict[str, Any]],
    options: CountOptions,
    above: dict[int, list[int]],
) -> dict[str, float]:
    if options.counted == "calendar":
        return calendar_row(person["index_date"])
    if options.counted == "utilisation":
        return utilisation_row(own, options)
    days: dict[int, set[int]] = defaultdict(set)
    values: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for event in own:
        for concept in (event["concept_id"], *above[event["concept_id"]]):
            days[concept].add(event["days_before"])
        value = event["value_as_number"]
        if options.latest_values and value is not None and math.isfinite(value):
            values[f"{event['concept_id']}/{event['unit_name'] or ''}"].append((event["days_before"], -value))
    row = {"age": float(person["age"] or 0), f"sex/{person['sex'] or 'unknown'}": 1.0}
    row |= {f"latest_value/{name}": -min(found)[1] for name, found in values.items()}
    row |= {f"measured/{name}": 1.0 for name in values}
    for concept, seen in days.items():
        for window in options.windows_days:
            row[f"days_with/{concept}/{window}"] = float(sum(day <= window for day in seen))
    return row


def _count_shown(example_id: str, own: list[dict[str, Any]], sha256: str) -> dict[str, Any]:
    return {
        "example_id": example_id,
        "domains": sorted({event["domain"] for event in own}),
        "n_events_kept": len(own),
        "n_events_in_view": len(own),
        "sha256": sha256,
    }


def _row_hashes(counted: dict[str, dict[str, float]], below: Path) -> dict[str, str]:
    """Hash each example's row as the view does: its names and values in order of name."""
    cells = [(example, name, value) for example, row in counted.items() for name, value in row.items()]
    frame = pd.DataFrame(cells, columns=["example_id", "feature", "value"])
    with in_memory(below) as connection:
        connection.register("cell", frame)
        rows = connection.execute(
            "select example_id, sha256(string_agg(feature || '=' || value, chr(10) order by feature))"
            " from cell group by example_id"
        ).fetchall()
    return {**dict.fromkeys(counted, sha256_text("")), **dict(rows)}


def _stored_rows(folder: Path, name: str, columns: list[str], sample: pd.DataFrame) -> list[dict[str, Any]]:
    only = [("example_id", "in", sample.index.tolist())]
    return pq.read_table(folder / f"{name}.parquet", columns=columns, filters=only).to_pylist()


def _stored_counts(folder: Path, names: list[str], sample: pd.DataFrame) -> dict[str, dict[str, float]]:
    example_id = pq.read_table(folder / "row.parquet")["example_id"].to_pylist()
    rows = {row: example for row, example in enumerate(example_id) if example in sample.index}
    stored: dict[str, dict[str, float]] = {example: {} for example in rows.values()}
    only = [("row", "in", list(rows))]
    for cell in pq.read_table(folder / "value.parquet", filters=only).to_pylist():
        stored[rows[cell["row"]]][names[cell["column"]]] = cell["value"]
    return stored


def _held(content: Mapping[str, Any], sample: pd.DataFrame) -> Held:
    """Put what is stored of each example beside its row of `shown.parquet`."""
    shown: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} for row in sample.reset_index().to_dict("records")
    ]
    return {
        row["example_id"]: (content[row["example_id"]], {**row, "domains": list(row["domains"])})
        for row in shown
        if row["example_id"] in content
    }


def _as_recorded(cut: Path, sample: pd.DataFrame) -> Iterator[tuple[Record, int]]:
    """Yield each record, and how many of its newest events are recorded as shown."""
    n_kept = sample["n_events_kept"].to_dict()
    for record in read_records(cut):
        if record.example_id in n_kept:
            yield record, n_kept[record.example_id]


COMPARED: dict[str, Callable[..., tuple[Held, Held]]] = {
    "text": _texts,
    "sequence": _sequences,
    "counts": _counts,
}
