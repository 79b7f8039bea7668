"""Rows added to a site's source, as if somebody had recorded them, and persons chosen to have them."""

import numpy as np
import pandas as pd

from leakage.site import Site
from ml.cdm import cdm_tables

RECORDED_TYPE, BILLED_TYPE = 2_000_000_011, 2_000_000_010


def some(rows: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return a share of the rows, drawn, at least one of them."""
    return rows.iloc[np.sort(rng.permutation(len(rows))[: max(1, round(share * len(rows)))])]


def cases(site: Site, task: str, y_true: int = 1) -> pd.DataFrame:
    """Return the labelled examples of a task of one class."""
    rows = site.labelled(task)
    return rows[rows["y_true"] == y_true]


def before(rows: pd.DataFrame, first: int, last: int, rng: np.random.Generator) -> pd.Series:
    """Return a day for each row, `first` to `last` days before its index."""
    days = rng.integers(first, last, size=len(rows), endpoint=True)
    return rows["index_date"] - pd.to_timedelta(days, unit="D")


def record(site: Site, table: str, rows: pd.DataFrame) -> None:
    """Add rows to a table of the source; columns not given are null, its own key goes on from the last."""
    columns = {column.name: column.type for column in cdm_tables()[table]}
    assert set(rows.columns) <= set(columns), sorted(set(rows.columns) - set(columns))
    key = f"{table}_id"
    cast = [f'"{name}"::{columns[name]} as {name}' for name in rows.columns]
    if key in columns and key not in rows.columns:
        cast.append(f"(select max({key}) from this) + row_number() over () as {key}")
    query = f"select * from this union all by name select {', '.join(cast)} from added"
    site.rewrite(f"simulated/cdm/{table}.parquet", query, added=rows)


def conditions(site: Site, rows: pd.DataFrame, day: pd.Series, concept_id: int) -> None:
    """Record a diagnosis outside any visit."""
    frame = {
        "person_id": rows["person_id"].to_numpy(),
        "condition_concept_id": concept_id,
        "condition_start_date": day.to_numpy(),
        "condition_type_concept_id": BILLED_TYPE,
    }
    record(site, "condition_occurrence", pd.DataFrame(frame))


def drugs(site: Site, rows: pd.DataFrame, day: pd.Series, concept_id: int) -> None:
    """Record a drug outside any visit, for thirty days."""
    frame = {
        "person_id": rows["person_id"].to_numpy(),
        "drug_concept_id": concept_id,
        "drug_exposure_start_date": day.to_numpy(),
        "drug_exposure_end_date": (day + pd.Timedelta(days=29)).to_numpy(),
        "drug_type_concept_id": RECORDED_TYPE,
    }
    record(site, "drug_exposure", pd.DataFrame(frame))


def observations(site: Site, rows: pd.DataFrame, day: pd.Series, concept_id: int) -> None:
    """Record an observation outside any visit."""
    frame = {
        "person_id": rows["person_id"].to_numpy(),
        "observation_concept_id": concept_id,
        "observation_date": day.to_numpy(),
        "observation_type_concept_id": RECORDED_TYPE,
    }
    record(site, "observation", pd.DataFrame(frame))


def concept(
    site: Site, concept_id: int, name: str, domain: str = "Condition", above: tuple[int, ...] = ()
) -> int:
    """Add a concept to the vocabulary, below the ones named; return its id."""
    row = {
        "concept_id": concept_id,
        "concept_name": name,
        "domain_id": domain,
        "vocabulary_id": "Simulated",
        "concept_class_id": "Context-dependent",
        "standard_concept": "S",
        "concept_code": f"SIM{concept_id}",
        "valid_start_date": pd.Timestamp("1970-01-01"),
        "valid_end_date": pd.Timestamp("2099-12-31"),
    }
    record(site, "concept", pd.DataFrame([row]))
    pairs = [(concept_id, concept_id, 0), *((one, concept_id, 1) for one in above)]
    frame = pd.DataFrame(pairs, columns=pd.Index(["ancestor_concept_id", "descendant_concept_id", "steps"]))
    steps = frame.pop("steps")
    frame["min_levels_of_separation"] = frame["max_levels_of_separation"] = steps
    record(site, "concept_ancestor", frame)
    return concept_id
