"""Rows of a simulated source: added as an ETL would add them, removed, or given to other persons."""

import numpy as np
import pandas as pd

from leakage.site import Site

CLINICAL = (
    "visit_occurrence",
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "measurement",
    "observation",
    "note",
)
DATES = {
    "visit_occurrence": "visit_start_date",
    "condition_occurrence": "condition_start_date",
    "drug_exposure": "drug_exposure_start_date",
    "procedure_occurrence": "procedure_date",
    "measurement": "measurement_date",
    "observation": "observation_date",
    "note": "note_date",
}
BY_PERSON = (*CLINICAL, "observation_period", "person", "death")
RECORDED = 2_000_000_011  # a type that is no bill: known on its own date
OWN = 2_000_900_000  # local concepts of these plants begin here


def file_of(table: str) -> str:
    """Return where a table of the source lies below a site's root."""
    return f"simulated/cdm/{table}.parquet"


def add_rows(site: Site, table: str, rows: pd.DataFrame) -> None:
    """Append rows; columns that are not given are null, the table's own key goes on from its last."""
    kinds = site.rows(f"select column_name, column_type from (describe cdm_{table})")
    key = f"{table}_id"
    wanted = []
    for name, kind in kinds.itertuples(index=False):
        if name == key:
            wanted.append(f"(select max({key}) from this) + row_number() over ()")
        else:
            wanted.append(f"cast({name if name in rows else 'null'} as {kind})")
    added = f"select {', '.join(wanted)} from added"
    site.rewrite(file_of(table), f"select * from this union all {added}", added=rows)


def add_concept(site: Site, concept_id: int, name: str, domain: str) -> None:
    """Add a local concept of a hospital to the vocabulary."""
    row = {
        "concept_id": concept_id,
        "concept_name": name,
        "domain_id": domain,
        "vocabulary_id": "Simulated",
        "concept_class_id": "Clinical Finding",
        "concept_code": f"SIM{concept_id - 2_000_000_000}",
        "valid_start_date": pd.Timestamp("1970-01-01"),
        "valid_end_date": pd.Timestamp("2099-12-31"),
    }
    kinds = site.rows("select column_name, column_type from (describe cdm_concept)")
    wanted = [
        f"cast({name if name in row else 'null'} as {kind})" for name, kind in kinds.itertuples(index=False)
    ]
    added = f"select {', '.join(wanted)} from added"
    site.rewrite(file_of("concept"), f"select * from this union all {added}", added=pd.DataFrame([row]))


def drop_rows(site: Site, table: str, condition: str, **frames: pd.DataFrame) -> None:
    """Remove the rows for which a condition holds."""
    site.rewrite(file_of(table), f"select * from this where not coalesce({condition}, false)", **frames)


def replace_columns(site: Site, table: str, replaced: str, **frames: pd.DataFrame) -> None:
    """Give columns of a table other values: `expression as column, ...`; rows keep their order."""
    site.rewrite(file_of(table), f"select * replace ({replaced}) from this", **frames)


def drawn(rng: np.random.Generator, rows: pd.DataFrame, cases: float, others: float) -> pd.DataFrame:
    """Return a share of the cases and another of the non-cases, drawn by chance."""
    share = np.where(rows["y_true"] == 1, cases, others)
    return rows[rng.random(len(rows)) < share].reset_index(drop=True)


def days_before(rng: np.random.Generator, rows: pd.DataFrame, nearest: int, furthest: int) -> pd.Series:
    """Return a day so many days before each index."""
    days = rng.integers(nearest, furthest + 1, len(rows))
    return pd.to_datetime(rows["index_date"]) - pd.to_timedelta(days, unit="D")
