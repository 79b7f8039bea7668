"""Patient sequences: codes with visit number, age and time gaps; a result is one token of code and bin."""

import bisect
import collections
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.artefact import read_json, whole_folder, write_json
from ml.in_memory import in_memory
from ml.inputs.plain import plain
from ml.inputs.record import Event, Record, admitted, batches, read_records
from ml.inputs.shown import SHOWN, places, shown_row
from ml.inputs.view import LEVELS, SequenceOptions

# Five ids of their own: a padding that is also the mask or a real code cannot be told from it.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
UNKNOWN = SPECIAL_TOKENS.index("[UNK]")
DAYS_A_YEAR = 365.25

ARRAYS = ("token", "visit", "age_years", "days_before", "gap_days")
SEQUENCE = pa.schema([("example_id", pa.string()), *((name, pa.list_(pa.int32())) for name in ARRAYS)])

# Edges are fitted on train only: quantiles of all values would tell of held_out. A measurement in two units
# is two measurements, by the names that are shown. Too few values for a fair share in each bin: no bins.
EDGES = """
select
    event.concept_id,
    unit.plain as unit,
    quantile_disc(event.value_as_number, $shares) as edges
from read_parquet($event) as event
inner join read_parquet($example) as example on event.example_id = example.example_id
inner join unit on coalesce(event.unit_name, '') = unit.name
where
    example.split = 'train'
    and isfinite(event.value_as_number)
    and ($look_back_days is null or event.days_before <= $look_back_days)
    and (len($domains) = 0 or event.domain in (select unnest($domains)))
group by event.concept_id, unit.plain
having count(*) >= $min_values
order by event.concept_id, unit
"""

UNITS = "select distinct coalesce(unit_name, '') as name from read_parquet($1) order by name"
UNIT = """
create temp table unit as
select
    unnest($names::varchar[]) as name,
    unnest($plain::varchar[]) as plain
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
    """What was fitted, on how many train examples: edges of each measurement's bins, vocabulary by token."""

    edges: dict[tuple[int, str], list[float]]
    place: dict[str, int]
    fitted_on_examples: int

    @classmethod
    def fit(cls, examples: Path, options: SequenceOptions) -> "Coder":
        """Return the coder of the train examples of a cut."""
        edges = _fit_edges(examples, options)
        vocabulary, fitted_on = _fit_vocabulary(examples, edges, options)
        return cls(edges, {token: n for n, token in enumerate(vocabulary)}, fitted_on)

    @classmethod
    def read(cls, folder: Path) -> "Coder":
        """Return the coder that a folder of sequences was written with."""
        fit = read_json(folder / "view.json")["fit"]
        edges = {(concept, unit): found for concept, unit, found in fit["edges"]}
        place = {token: n for n, token in enumerate(_vocabulary(folder))}
        return cls(edges, place, fit["fitted_on_examples"])

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
    coder = Coder.fit(examples, options)
    total: collections.Counter[str] = collections.Counter()
    unseen: set[str] = set()
    with whole_folder(target) as folder:
        with (
            pq.ParquetWriter(folder / "sequence.parquet", SEQUENCE) as sequences,
            pq.ParquetWriter(folder / "shown.parquet", SHOWN) as shown,
        ):
            for records in batches(read_records(examples)):
                rows = [sequence_rows(record, coder, options, options.max_events) for record in records]
                for record, (_, own) in zip(records, rows, strict=True):
                    kept = admitted(record, options.level, options.look_back_days)[: options.max_events]
                    names = [token(event, coder.edges) for event in kept]
                    unknown = [name for name in names if name not in coder.place]
                    unseen.update(unknown)
                    total.update(
                        sequences=1,
                        codes=len(kept),
                        codes_unseen_in_train=len(unknown),
                        sequences_cut=own["n_events_kept"] < own["n_events_in_view"],
                    )
                sequences.write_table(pa.Table.from_pylist([row for row, _ in rows], schema=SEQUENCE))
                shown.write_table(pa.Table.from_pylist([row for _, row in rows], schema=SHOWN))
        pd.DataFrame({"token": list(coder.place)}).to_parquet(folder / "vocabulary.parquet", index=False)
        fit = {
            "fitted_on": "train",
            "fitted_on_examples": coder.fitted_on_examples,
            "edges": [[concept, unit, found] for (concept, unit), found in sorted(coder.edges.items())],
        }
        write_json(folder / "view.json", {"options": dataclasses.asdict(options), "fit": fit})
    names = ("sequences", "codes", "codes_unseen_in_train", "sequences_cut")
    return {
        **{name: total[name] for name in names},
        "distinct_codes_unseen": len(unseen),
        "vocabulary": len(coder.place),
        "measurements_binned": len(coder.edges),
        "fitted_on_examples": coder.fitted_on_examples,
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


def sequence_rows(record: Record, coder: Coder, options: SequenceOptions, n_kept: int) -> tuple[dict, dict]:
    """Return the rows of a record in `sequence.parquet` and `shown.parquet`, of so many newest events."""
    events = admitted(record, options.level, options.look_back_days)
    kept = _oldest_first(events[:n_kept])
    arrays = coder.arrays(record, kept)
    shown = shown_row(record.example_id, kept, len(events), json.dumps(arrays, sort_keys=True))
    return {"example_id": record.example_id, **arrays}, shown


def _fit_edges(examples: Path, options: SequenceOptions) -> dict[tuple[int, str], list[float]]:
    shares = [n / options.value_bins for n in range(1, options.value_bins)]
    with in_memory(examples.parent) as connection:
        event = str(examples / "event.parquet")
        names = [name for (name,) in connection.execute(UNITS, [event]).fetchall()]
        connection.execute(UNIT, {"names": names, "plain": [plain(name) for name in names]})
        rows = connection.execute(
            EDGES,
            {
                "event": event,
                "example": str(examples / "example.parquet"),
                "shares": shares,
                "look_back_days": options.look_back_days,
                "domains": list(LEVELS[options.level]),
                "min_values": options.value_bins * options.min_train_examples,
            },
        ).fetchall()
    return {(concept, unit): sorted(set(edges)) for concept, unit, edges in rows}


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
    return sorted(
        events,
        key=lambda event: (
            -event.days_before,
            event.domain,
            event.concept_id,
            event.value or 0.0,
            event.unit,
            event.value_concept_id,
            event.visit_no,
        ),
    )


def _age_at(age: int | None, days_before: int) -> int:
    """Return the age in whole years so many days before the index; -1 where it is unknown."""
    return -1 if age is None else max(0, math.floor(age - days_before / DAYS_A_YEAR))


def _vocabulary(folder: Path) -> list[str]:
    return pd.read_parquet(folder / "vocabulary.parquet")["token"].tolist()
