"""The check that what was shown can be recomputed: a sample is made again from the snapshot and compared."""

import math
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.record import Record, admitted, read_records
from ml.inputs.sequence import Coder, sequence_sha256
from ml.inputs.serialize import serialize
from ml.inputs.shown import read_shown, sha256_text
from ml.inputs.view import LEVELS, CountOptions, InputView, SequenceOptions, TextOptions

SAMPLE = 50


def recompute(published: Path, task: str, folder: Path, view: InputView, *, seed: int) -> tuple[int, int]:
    """Make a sample of a view again from `example_input` and `clinical_event` (METHODS 6).

    The domains and the number of newest events that were recorded say what each example shows; the sample is
    drawn by `seed` alone.

    Returns:
        how many examples were looked at, and how many are not what the view holds.
    """
    shown = read_shown(folder)
    chosen = np.random.default_rng(seed).permutation(len(shown))[:SAMPLE]
    sample = shown.iloc[sorted(chosen)].set_index("example_id")
    with tempfile.TemporaryDirectory(prefix="recompute-") as temporary:
        cut = Path(temporary) / "examples"
        cut_examples(published, task, cut, ExampleOptions(None, seed), only=sample.index.tolist())
        again = HASHES[view.kind](cut, folder, view.options, sample)
    recorded = sample["sha256"].to_dict()
    n_differ = sum(again.get(str(example_id)) != sha256 for example_id, sha256 in recorded.items())
    return len(sample), n_differ


def _texts(cut: Path, folder: Path, options: TextOptions, sample: pd.DataFrame) -> dict[str, str]:
    found = {}
    for record, n_kept in _as_recorded(cut, sample):
        events = admitted(record, options.level, options.look_back_days)[:n_kept]
        found[record.example_id] = sha256_text(serialize(record, events, options.format))
    return found


def _sequences(cut: Path, folder: Path, options: SequenceOptions, sample: pd.DataFrame) -> dict[str, str]:
    coder = Coder.read(folder)
    return {
        record.example_id: sequence_sha256(record, coder, options, n_kept)
        for record, n_kept in _as_recorded(cut, sample)
    }


def _counts(cut: Path, folder: Path, options: CountOptions, sample: pd.DataFrame) -> dict[str, str]:
    """Count again in plain Python, a second way beside the SQL that made the view."""
    columns = set(pd.read_parquet(folder / "column.parquet")["feature"])
    above: dict[int, list[int]] = defaultdict(list)
    if options.ancestors:
        for pair in pq.read_table(cut / "ancestor.parquet").to_pylist():
            above[pair["concept_id"]].append(pair["ancestor_concept_id"])
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in pq.read_table(cut / "event.parquet").to_pylist():
        events[event["example_id"]].append(event)
    kept_domains = sample["domains"].to_dict()
    values: list[tuple[str, str, float]] = []
    for person in pq.read_table(cut / "example.parquet").to_pylist():
        domains = kept_domains[person["example_id"]]
        own = [event for event in events[person["example_id"]] if event["domain"] in domains]
        row = _count_row(own, options, above)
        row[f"sex/{person['sex'] or 'unknown'}"] = 1.0
        row["age"] = float(person["age"] or 0)
        values += [(person["example_id"], name, row[name]) for name in row if row[name] and name in columns]
    return _row_hashes(values, sample.index.tolist())


def _count_row(
    own: list[dict[str, Any]], options: CountOptions, above: dict[int, list[int]]
) -> dict[str, float]:
    days: dict[int, set[int]] = defaultdict(set)
    row: dict[str, float] = {}
    levels = LEVELS[options.level]
    for event in own:
        if levels and event["domain"] not in levels:
            continue
        if options.look_back_days is not None and event["days_before"] > options.look_back_days:
            continue
        for concept in (event["concept_id"], *above[event["concept_id"]]):
            days[concept].add(event["days_before"])
        value = event["value_as_number"]
        if options.latest_values and value is not None and math.isfinite(value):
            row[f"latest_value/{event['concept_id']}/{event['unit_name'] or ''}"] = value
    for concept, seen in days.items():
        for window in options.windows_days:
            row[f"days_with/{concept}/{window}"] = float(sum(day <= window for day in seen))
    return row


def _row_hashes(values: list[tuple[str, str, float]], example_id: list[str]) -> dict[str, str]:
    """Hash each example's row as the view does: its names and values in order of name."""
    frame = pd.DataFrame(values, columns=["example_id", "feature", "value"])
    with duckdb.connect() as connection:
        connection.register("cell", frame)
        rows = connection.execute(
            "select example_id, sha256(string_agg(feature || '=' || value, chr(10) order by feature))"
            " from cell group by example_id"
        ).fetchall()
    return {**dict.fromkeys(example_id, sha256_text("")), **dict(rows)}


def _as_recorded(cut: Path, sample: pd.DataFrame) -> Iterator[tuple[Record, int]]:
    """Yield each record with the domains that were kept of it, and how many of its newest events were."""
    n_kept, domains = sample["n_events_kept"].to_dict(), sample["domains"].to_dict()
    for record in read_records(cut):
        own = [event for event in record.events if event.domain in domains[record.example_id]]
        yield record._replace(events=own), n_kept[record.example_id]


HASHES: dict[str, Callable[..., dict[str, str]]] = {
    "text": _texts,
    "sequence": _sequences,
    "counts": _counts,
}
