"""Few-shot draws: k cases and k non-cases of train, and as many of tuning, nested in k (METHODS 12)."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ml.artefact import whole_file

DRAWN_SPLITS = ("train", "tuning")
COLUMNS = ["draw", "split", "y_true", "place", "example_id", "person_id"]


def draw_examples(example: pd.DataFrame, *, draws: int, seed: int, largest: int) -> pd.DataFrame:
    """Return the drawn examples: one a person, in order of place within draw, split and label.

    An example is drawn at k where its place is k or less, so that smaller draws lie in larger ones. Persons,
    and which of a person's examples counts, are in the order of a hash that never sees a label.

    Args:
        example: table `example`; rows without a label are left out.
        draws: how many.
        seed: of the hash.
        largest: the greatest k that an arm asks for.
    """
    labelled = example[example["y_true"].notna() & example["split"].isin(DRAWN_SPLITS)]
    drawn: list[pd.DataFrame] = []
    for draw in range(draws):
        ordered = labelled.assign(draw=draw, order=_order(labelled["example_id"], seed, draw))
        ordered = ordered.sort_values(["order", "example_id"]).drop_duplicates("person_id")
        place = ordered.groupby(["split", "y_true"]).cumcount() + 1
        drawn.append(ordered.assign(place=place)[place <= largest])
    table = pd.concat(drawn).astype({"y_true": "int64", "draw": "int64", "place": "int64"})
    return table.sort_values(["draw", "split", "y_true", "place"], ignore_index=True)[COLUMNS]


def write_draws(
    example: pd.DataFrame, target: Path, *, draws: int, seed: int, largest: int
) -> dict[str, int]:
    """Write the draws that all arms of a task share; return counts for the record."""
    table = draw_examples(example, draws=draws, seed=seed, largest=largest)
    with whole_file(target) as temporary:
        table.to_parquet(temporary, index=False)
    return {"draws": draws, "examples_drawn": len(table), "largest_k": largest}


def possible(table: pd.DataFrame, k: Iterable[int], *, draws: int) -> list[int]:
    """Return those of `k` for which every draw has k cases and k non-cases in train and in tuning."""
    sizes = table.groupby(["draw", "split", "y_true"]).size()
    fewest = int(sizes.min()) if len(sizes) == draws * len(DRAWN_SPLITS) * 2 else 0
    return [shots for shots in k if shots <= fewest]


def places(table: pd.DataFrame, example_id: pd.Series, *, draw: int, k: int) -> np.ndarray:
    """Return the place of each of N examples in a draw at k, int64 (N,); 0: it is not drawn."""
    mine = table[(table["draw"] == draw) & (table["place"] <= k)]
    place = mine.set_index("example_id")["place"]
    return place.reindex(example_id).fillna(0).to_numpy(dtype=np.int64)


def _order(example_id: pd.Series, seed: int, draw: int) -> list[str]:
    return [hashlib.sha256(f"{seed}/{draw}/{one}".encode()).hexdigest() for one in example_id]
