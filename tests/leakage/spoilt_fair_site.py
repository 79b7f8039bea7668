"""A fair site to spoil, and what the checks of alarms find on it, by their subject."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from dbt_world import PROJECT
from published_world import TASK

from leakage.fair_site import Site, make_site, write_site
from ml.leakage.fits import scores, shortcuts
from ml.leakage.inputs import named
from ml.leakage.shown import open_shown
from ml.leakage.signals import columns, indexing, order, presence, recency, seasons, texts
from ml.leakage.splits import duplicates

Plant = Callable[[Site], None]

# Each subject has tests of its own, which plant something for each of its checks.
CHECKS = {
    subject: [check for module in modules for check in module.CHECKS]
    for subject, modules in {
        "named": (named,),
        "duplicates": (duplicates,),
        "codes": (presence, recency, columns),
        "indexing": (indexing, seasons),
        "order": (order,),
        "texts": (texts,),
        "scores": (scores, shortcuts),
    }.items()
}


def site_to_spoil() -> Site:
    """Return a copy of the fair site, which is made once."""
    return deepcopy(_fair())


@cache
def _fair() -> Site:
    return make_site(0)


def run(site: Site, root: Path, *only: str) -> dict[str, int]:
    """Run every check of `CHECKS` on a site, or some by name: what each found."""
    checks = [check for of in CHECKS.values() for check in of if not only or check.name in only]
    with open_shown(write_site(site, root), TASK, seeds=PROJECT / "seeds", n_tasks=2) as shown:
        rows = [check.run(shown) for check in checks if check.applies(TASK, shown.kinds)]
    assert all(row.looked_at > 0 for row in rows)
    assert len(rows) == len(checks)
    ids = set(site.example["example_id"]) | set(site.example["person_id"].astype(str))
    assert not any(one in row.note + row.cannot_see for row in rows for one in ids)
    return {row.name: row.found for row in rows}


def add_events(site: Site, rows: np.ndarray, days: int, **columns) -> None:
    """Show some examples one event more."""
    own = site.event.groupby("example_id").head(1).set_index("example_id")
    known = own.reindex(site.example["example_id"][rows]).dropna(subset="event_id").reset_index()
    site.event = pd.concat([site.event, known.assign(days_before=days, **columns)]).sort_values(
        ["example_id", "days_before"], ascending=[True, False], ignore_index=True
    )


def drawn(site: Site, cases: float, others: float) -> np.ndarray:
    """Places of a share of the cases and one of the others."""
    share = np.where(site.is_case, cases, others)
    return np.flatnonzero(np.random.default_rng(5).random(len(site.example)) < share)


def keep_examples(site: Site, rows: np.ndarray | list[int]) -> None:
    """Keep the examples at these places, in this order."""
    site.text, site.score, site.moved = site.text.iloc[rows], site.score[rows], site.moved[rows]
    site.cut = site.cut.iloc[rows].reset_index(drop=True)
    site.text = site.text.reset_index(drop=True)
    site.example = site.example.iloc[rows].reset_index(drop=True)
    ids = site.example["example_id"]
    site.event = site.event[site.event["example_id"].isin(ids)].reset_index(drop=True)
    site.cohort = site.cohort[site.cohort["example_id"].isin(ids)]
