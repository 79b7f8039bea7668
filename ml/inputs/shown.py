"""What METHODS 6 asks of every input: which domains and how many of the newest events each example shows."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ml.inputs.record import Event

# `sha256` is of what is shown: a text, a sequence of codes, a row of counts.
SHOWN = pa.schema(
    [
        ("example_id", pa.string()),
        ("domains", pa.list_(pa.string())),
        ("n_events_kept", pa.int32()),
        ("n_events_in_view", pa.int32()),
        ("sha256", pa.string()),
    ]
)


def sha256_text(text: str) -> str:
    """Hash a text by its UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def shown_row(example_id: str, kept: Sequence[Event], n_in_view: int, content: str) -> dict[str, Any]:
    """Return the row of `SHOWN` of an example: the events that are kept, and what is shown of them."""
    return {
        "example_id": example_id,
        "domains": sorted({event.domain for event in kept}),
        "n_events_kept": len(kept),
        "n_events_in_view": n_in_view,
        "sha256": sha256_text(content),
    }


def places(known: pd.Series, example_id: Sequence[str]) -> list[int]:
    """Return where each example stands among the `known` ones.

    Raises:
        ValueError: some have no row; -1 would read another person's.
    """
    found = pd.Index(known).get_indexer(pd.Index(example_id))
    if (found < 0).any():
        raise ValueError(f"{int((found < 0).sum())} of {len(found)} examples have no row in their input view")
    return found.tolist()


def read_shown(view: Path) -> pd.DataFrame:
    """Return the record of what a view shows, one row an example in order of example_id."""
    return pd.read_parquet(view / "shown.parquet")
