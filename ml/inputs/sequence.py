"""Patient sequences: codes with visit number, age and time gaps; a result is one token of code and bin."""

import bisect
import collections
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.artefact import read_json, whole_folder, write_json
from ml.inputs.plain import plain
from ml.inputs.record import Event, Record, admitted, batches, kept_domains, read_records
from ml.inputs.shown import SHOWN, places, sha256_text
from ml.inputs.view import LEVELS, SequenceOptions

# Five ids of their own: a padding that is also the mask or a real code cannot be told from it.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
UNKNOWN = SPECIAL_TOKENS.index("[UNK]")
DAYS_A_YEAR = 365.25

ARRAYS = ("token", "visit", "age_years", "days_before", "gap_days")
SEQUENCE = pa.schema([("example_id", pa.string()), *((name, pa.list_(pa.int32())) for name in ARRAYS)])

# Edges are fitted on train only: quantiles of all values would tell of held_out. A measurement in two units
# is two measurements. Too few values for a fair share in each bin: no bins.
EDGES = """
select
    event.concept_id,
    coalesce(event.unit_name, '') as unit,
    quantile_disc(event.value_as_number, $shares) as edges
from read_parquet($event) as event
inner join read_parquet($example) as example on event.example_id = example.example_id
where
    example.split = 'train'
    and isfinite(event.value_as_number)
    and ($look_back_days is null or event.days_before <= $look_back_days)
    and (len($domains) = 0 or event.domain in (select unnest($domains)))
group by event.concept_id, coalesce(event.unit_name, '')
having count(*) >= $min_values
order by event.concept_id, unit
"""

Edges = Mapping[tuple[int, str], Sequence[float]]


@dataclass(frozen=True)
class PatientSequences:
    """N sequences in the order that was asked, oldest event first; arrays of int32, one number an event.

    `token` are places in `vocabulary`; `visit` numbers the visits that are shown from 1; `gap_days` is the
    time since the event before it (0 for the first), `days_before` the time to the index.
    """

    token: list[np.ndarray]
    visit: list[np.ndarray]
    age_years: list[np.ndarray]
    days_before: list[np.ndarray]
    gap_days: list[np.ndarray]
    vocabulary: list[str]


@dataclass(frozen=True)
class Coder:
    """What was fitted on train: the edges of each measurement's bins, and the vocabulary by token."""

    edges: dict[tuple[int, str], list[float]]
    place: dict[str, int]

    @classmethod
    def read(cls, folder: Path) -> "Coder":
        """Return the coder that a folder of sequences was written with."""
        fit = read_json(folder / "view.json")["fit"]
        edges = {(concept, unit): found for concept, unit, found in fit["edges"]}
        return cls(edges, {token: n for n, token in enumerate(_vocabulary(folder))})

    def arrays(self, record: Record, kept: Sequence[Event]) -> dict[str, list[int]]:
        """Return the arrays of a record; `kept` are the events to show, oldest first."""
        visits = {
            visit: n for n, visit in enumerate(dict.fromkeys(event.visit_no for event in kept), start=1)
        }
        days = [event.days_before for event in kept]
        return {
            "token": [self.place.get(token(event, self.edges), UNKNOWN) for event in kept],
            "visit": [visits[event.visit_no] for event in kept],
            "age_years": [_age_at(record.age, before) for before in days],
            "days_before": days,
            "gap_days": [earlier - later for earlier, later in zip(days[:1] + days, days, strict=False)],
        }


def token(event: Event, edges: Edges) -> str:
    """Name an event's token: its code, with the bin of its value or the code of its result.

    >>> token(Event(1, 3004410, "HbA1c", "Measurement", 5, 1, 7.1, "%", 0, ""), {(3004410, "%"): [6.0, 7.0]})
    '3004410|%|2'
    """
    measured = (event.concept_id, event.unit)
    if event.value is not None and measured in edges:
        return f"{event.concept_id}|{event.unit}|{bisect.bisect_left(edges[measured], event.value)}"
    code = f"end {event.concept_id}" if event.domain == "Visit end" else str(event.concept_id)
    return f"{code}={event.value_concept_id}" if event.value is None and event.value_concept_id else code


def write_patient_sequences(examples: Path, target: Path, options: SequenceOptions) -> dict[str, int]:
    """Write `sequence.parquet`, `vocabulary.parquet`, `shown.parquet` and `view.json`; return counts.

    Bins and vocabulary are fitted on train; codes that it lacks become [UNK] and are counted.
    """
    edges = _fit_edges(examples, options)
    vocabulary, fitted_on = _fit_vocabulary(examples, edges, options)
    coder = Coder(edges, {token: n for n, token in enumerate(vocabulary)})
    total: collections.Counter[str] = collections.Counter()
    unseen: set[str] = set()
    with whole_folder(target) as folder:
        with (
            pq.ParquetWriter(folder / "sequence.parquet", SEQUENCE) as sequences,
            pq.ParquetWriter(folder / "shown.parquet", SHOWN) as shown,
        ):
            for records in batches(read_records(examples)):
                rows = []
                for record in records:
                    events = admitted(record, options.level, options.look_back_days)
                    kept = _oldest_first(events[: options.max_events])
                    rows.append(_rows(record, coder.arrays(record, kept), kept, len(events)))
                    unknown = [
                        name for name in (token(event, edges) for event in kept) if name not in coder.place
                    ]
                    unseen.update(unknown)
                    total.update(
                        sequences=1,
                        codes=len(kept),
                        codes_unseen_in_train=len(unknown),
                        sequences_cut=len(kept) < len(events),
                    )
                sequences.write_table(pa.Table.from_pylist([row for row, _ in rows], schema=SEQUENCE))
                shown.write_table(pa.Table.from_pylist([row for _, row in rows], schema=SHOWN))
        pd.DataFrame({"token": vocabulary}).to_parquet(folder / "vocabulary.parquet", index=False)
        fit = {
            "fitted_on": "train",
            "fitted_on_examples": fitted_on,
            "edges": [[concept, unit, found] for (concept, unit), found in sorted(edges.items())],
        }
        write_json(folder / "view.json", {"options": dataclasses.asdict(options), "fit": fit})
    names = ("sequences", "codes", "codes_unseen_in_train", "sequences_cut")
    return {
        **{name: total[name] for name in names},
        "distinct_codes_unseen": len(unseen),
        "vocabulary": len(vocabulary),
        "measurements_binned": len(edges),
        "fitted_on_examples": fitted_on,
    }


def read_patient_sequences(folder: Path, example_id: Sequence[str]) -> PatientSequences:
    """Return the sequences of N examples in their order.

    Raises:
        ValueError: an example has no sequence here.
    """
    frame = pd.read_parquet(folder / "sequence.parquet")
    chosen = frame.iloc[places(frame["example_id"], example_id)]
    arrays = {name: [np.asarray(row, dtype=np.int32) for row in chosen[name]] for name in ARRAYS}
    return PatientSequences(**arrays, vocabulary=_vocabulary(folder))


def sequence_sha256(record: Record, coder: Coder, options: SequenceOptions, n_events_kept: int) -> str:
    """Make a sequence again from what was recorded of it, and hash it."""
    events = admitted(record, options.level, options.look_back_days)[:n_events_kept]
    return _sha256(coder.arrays(record, _oldest_first(events)))


def _fit_edges(examples: Path, options: SequenceOptions) -> dict[tuple[int, str], list[float]]:
    shares = [n / options.value_bins for n in range(1, options.value_bins)]
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; set threads = 1")
        rows = connection.execute(
            EDGES,
            {
                "event": str(examples / "event.parquet"),
                "example": str(examples / "example.parquet"),
                "shares": shares,
                "look_back_days": options.look_back_days,
                "domains": list(LEVELS[options.level]),
                "min_values": options.value_bins * options.min_train_examples,
            },
        ).fetchall()
    return {(concept, plain(unit)): sorted(set(edges)) for concept, unit, edges in rows}


def _fit_vocabulary(examples: Path, edges: Edges, options: SequenceOptions) -> tuple[list[str], int]:
    """Return the special tokens and those that enough train examples are shown, and how many those are."""
    in_examples: collections.Counter[str] = collections.Counter()
    n_train = 0
    for record in read_records(examples):
        if record.split == "train":
            n_train += 1
            kept = admitted(record, options.level, options.look_back_days)[: options.max_events]
            in_examples.update({token(event, edges) for event in kept})
    known = sorted(name for name, n in in_examples.items() if n >= options.min_train_examples)
    return [*SPECIAL_TOKENS, *known], n_train


def _oldest_first(events: Sequence[Event]) -> list[Event]:
    # Within a day by what they are: `event_no` follows a hash of the person there, which says nothing.
    return sorted(events, key=lambda e: (-e.days_before, e.domain, e.concept_id, e.value or 0.0, e.event_no))


def _age_at(age: int | None, days_before: int) -> int:
    """Return the age in whole years so many days before the index; -1 where it is unknown."""
    return -1 if age is None else max(0, math.floor(age - days_before / DAYS_A_YEAR))


def _rows(record: Record, arrays: dict, kept: Sequence[Event], n_in_view: int) -> tuple[dict, dict]:
    shown = {
        "example_id": record.example_id,
        "domains": kept_domains(kept),
        "n_events_kept": len(kept),
        "n_events_in_view": n_in_view,
        "sha256": _sha256(arrays),
    }
    return {"example_id": record.example_id, **arrays}, shown


def _sha256(arrays: dict[str, list[int]]) -> str:
    return sha256_text(json.dumps(arrays, sort_keys=True))


def _vocabulary(folder: Path) -> list[str]:
    return pd.read_parquet(folder / "vocabulary.parquet")["token"].tolist()
