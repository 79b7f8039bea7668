"""A fair site with what is told of its persons, as published and as landed, and where they were seen."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from dbt_world import PROJECT
from published_world import TASK

from leakage.fair_site import Site, make_site, write_site
from ml.leakage.rows import LeakCheck, LeakRow
from ml.leakage.shown import open_shown


@cache
def _fair() -> Site:
    return make_site(3)


class World:
    """A fair site, its persons as published and as landed, and where each was last seen."""

    def __init__(self) -> None:
        site = _fair()
        rng = np.random.default_rng(6)
        n = len(site.example)
        self.site = deepcopy(site)
        self.person = pd.DataFrame(
            {
                "person_id": site.example["person_id"],
                "gender_concept_id": rng.choice([8507, 8532], n),
                "month_of_birth": pd.array(rng.integers(1, 13, n), dtype="Int64"),
                "day_of_birth": pd.array(rng.integers(1, 29, n), dtype="Int64"),
                "race_concept_id": rng.choice([0, 8527], n),
                "ethnicity_concept_id": 0,
            }
        )
        self.landed = pd.DataFrame(
            {
                "person_id": site.example["person_id"],
                "location_id": pd.array(rng.integers(1, 5, n), dtype="Int64"),
                "provider_id": pd.array(rng.integers(1, 500, n), dtype="Int64"),
                "care_site_id": pd.array([None] * n, dtype="Int64"),
                **dict.fromkeys(
                    [f"{name}_source_value" for name in ("person", "gender", "race", "ethnicity")], "a"
                ),
            }
        )
        self.visit = pd.DataFrame(
            {
                "visit_occurrence_id": np.arange(n),
                "person_id": site.example["person_id"],
                "visit_start_date": site.example["index_date"] - pd.Timedelta(3, "D"),
                "provider_id": pd.array(rng.integers(1, 500, n), dtype="Int64"),
                "care_site_id": pd.array(rng.integers(1, 4, n), dtype="Int64"),
            }
        )
        dead = site.example["person_id"][rng.random(n) < 0.3]
        deaths = pd.DataFrame(
            {"person_id": dead, "domain": "Death", "event_date": pd.Timestamp("2030-01-01")}
        )
        self.site.clinical_event = pd.concat([site.clinical_event, deaths], ignore_index=True)
        self.dead = site.example["person_id"].isin(dead).to_numpy()

    @property
    def is_case(self) -> np.ndarray:
        return self.site.is_case

    def drawn(self, cases: float, others: float) -> np.ndarray:
        """Who is of a share of the cases or of one of the others."""
        share = np.where(self.is_case, cases, others)
        return np.random.default_rng(7).random(len(share)) < share

    def look(self, root: Path, check: LeakCheck) -> LeakRow:
        """Write everything and run a check."""
        write_site(self.site, root)
        landing = root / "landing"
        landing.mkdir()
        self.person.to_parquet(root / "published" / "person.parquet", index=False)
        self.landed.to_parquet(landing / "person.parquet", index=False)
        days = {"visit_start_date": "date32[day][pyarrow]"}
        self.visit.astype(days).to_parquet(landing / "visit_occurrence.parquet", index=False)
        with open_shown(root, TASK, seeds=PROJECT / "seeds", n_tasks=4, landing=landing) as shown:
            return check.run(shown)

    def is_named_in(self, row: LeakRow) -> bool:
        """Say whether an id of anybody stands in what a row says."""
        ids = set(self.site.example["example_id"]) | set(self.site.example["person_id"].astype(str))
        return any(one in row.note + row.cannot_see for one in ids)


Plant = Callable[[World], None]
