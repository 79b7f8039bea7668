"""Patient texts: each example's record in words, cut to the context of the tokenizer that will read it."""

import collections
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.artefact import read_json, whole_folder, write_json
from ml.inputs.fitting import CountTokens, Fitted, fit_to_context
from ml.inputs.record import Event, Record, admitted, batches, read_records
from ml.inputs.serialize import serialize
from ml.inputs.shown import SHOWN, places, sha256_text, shown_row
from ml.inputs.view import TextOptions

TEXT = pa.schema(
    [
        ("example_id", pa.string()),
        ("text", pa.string()),
        ("text_sha256", pa.string()),
        ("n_tokens", pa.int32()),
        ("n_tokens_whole", pa.int32()),
        ("share_cut", pa.float64()),
        ("cut_by_domain", pa.map_(pa.string(), pa.int32())),
    ]
)

INSTRUCTIONS = {
    "neutral": "Represent this health record, written before today, for predicting future diagnoses.",
    "task": "Judge from this health record, written before today: {question}",
}


@dataclass(frozen=True)
class PatientTexts:
    """N texts in the order that was asked; a model is shown `prefix + text`, of so many tokens."""

    prefix: str
    texts: list[str]
    n_tokens: list[int]


def instruction_prefix(options: TextOptions, *, question: str, template: str) -> str:
    """Return what stands before a text: the instruction in the model's own template, or nothing.

    >>> instruction_prefix(TextOptions(instruction="task"), question="Why?", template="{instruction} ")
    'Judge from this health record, written before today: Why? '
    """
    if options.instruction == "none":
        return ""
    return template.format(instruction=INSTRUCTIONS[options.instruction].format(question=question))


def write_patient_texts(
    examples: Path,
    target: Path,
    options: TextOptions,
    *,
    prefix: str,
    max_tokens: int,
    count_tokens: CountTokens,
    progress: Callable[[str], None],
) -> dict[str, int | float]:
    """Write `text.parquet`, `shown.parquet` and `view.json` of a cut as a folder; return counts.

    `count_tokens` counts as the model's tokenizer does, special tokens included; it is given whole prompts.
    Events are cut whole, oldest first, until prefix and text have at most `max_tokens`. `n_tokens_whole`
    and `share_cut` (of events, 0 to 1) say what the context cost; `cut_by_domain` counts cut events.
    """

    def count_prompts(texts: list[str]) -> list[int]:
        return count_tokens([prefix + text for text in texts]) if texts else []

    total: collections.Counter[str] = collections.Counter()
    cut: collections.Counter[str] = collections.Counter()
    with whole_folder(target) as folder:
        write_json(
            folder / "view.json",
            {
                "options": dataclasses.asdict(options),
                "prefix": prefix,
                "max_tokens": max_tokens,
                "truncation_side": options.truncation_side,
            },
        )
        with (
            pq.ParquetWriter(folder / "text.parquet", TEXT) as texts,
            pq.ParquetWriter(folder / "shown.parquet", SHOWN) as shown,
        ):
            for records in batches(read_records(examples)):
                written = _write_batch(records, options, count_prompts, max_tokens)
                texts.write_table(pa.Table.from_pylist([row for row, _ in written], schema=TEXT))
                shown.write_table(pa.Table.from_pylist([row for _, row in written], schema=SHOWN))
                for text, _ in written:
                    cut.update(text["cut_by_domain"])
                    total.update(
                        texts=1,
                        tokens=text["n_tokens"],
                        tokens_whole=text["n_tokens_whole"],
                        texts_cut=text["share_cut"] > 0,
                    )
                total["events"] += sum(row["n_events_in_view"] for _, row in written)
                progress(f"wrote {total['texts']} texts, {total['tokens']} tokens")
        distinct = pq.read_table(folder / "text.parquet", columns=["text_sha256"])["text_sha256"]
        return {
            **{name: total[name] for name in ("texts", "tokens", "tokens_whole", "texts_cut", "events")},
            "distinct_texts": len(distinct.unique()),
            "share_of_events_cut": round(cut.total() / total["events"], 6) if total["events"] else 0.0,
            **{f"cut_of_{domain.lower().replace(' ', '_')}": n for domain, n in sorted(cut.items())},
        }


def read_patient_texts(folder: Path, example_id: Sequence[str]) -> PatientTexts:
    """Return the texts of N examples in their order.

    Raises:
        ValueError: an example has no text here.
    """
    frame = pd.read_parquet(folder / "text.parquet", columns=["example_id", "text", "n_tokens"])
    chosen = frame.iloc[places(frame["example_id"], example_id)]
    prefix = read_json(folder / "view.json")["prefix"]
    return PatientTexts(prefix, chosen["text"].tolist(), chosen["n_tokens"].tolist())


def _write_batch(
    records: list[Record], options: TextOptions, count_tokens: CountTokens, max_tokens: int
) -> list[tuple[dict, dict]]:
    events = [admitted(record, options.level, options.look_back_days) for record in records]

    def write(place: int, n: int) -> str:
        return serialize(records[place], events[place][:n], options.format)

    fitted = fit_to_context([len(own) for own in events], write, count_tokens, max_tokens)
    return [_rows(*row) for row in zip(records, events, fitted, strict=True)]


def _rows(record: Record, events: list[Event], fitted: Fitted) -> tuple[dict, dict]:
    kept, cut = events[: fitted.n_kept], events[fitted.n_kept :]
    text = {
        "example_id": record.example_id,
        "text": fitted.text,
        "text_sha256": sha256_text(fitted.text),
        "n_tokens": fitted.n_tokens,
        "n_tokens_whole": fitted.n_tokens_whole,
        "share_cut": len(cut) / len(events) if events else 0.0,
        "cut_by_domain": dict(sorted(collections.Counter(event.domain for event in cut).items())),
    }
    return text, shown_row(record.example_id, kept, len(events), fitted.text)
