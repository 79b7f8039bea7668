"""Rows of one concept for persons of a site, and copies of whole persons under new numbers."""

import numpy as np
import pandas as pd

from leakage.plants_second.source_rows import BY_PERSON, DATES, RECORDED, add_concept, add_rows, file_of
from leakage.site import Site

PREFIX = {
    "condition_occurrence": "condition",
    "drug_exposure": "drug",
    "procedure_occurrence": "procedure",
    "measurement": "measurement",
    "observation": "observation",
}
DOMAIN = {
    "condition_occurrence": "Condition",
    "procedure_occurrence": "Procedure",
    "measurement": "Measurement",
    "observation": "Observation",
}
OWN = 2_000_950_000  # local concepts of these plants begin here
OUTPATIENT = 9202
DYSPNEA, SEPSIS, FUROSEMIDE = 312437, 132797, 957136
HEMOGLOBIN, CREATININE, NT_PRO_BNP = 3000963, 3016723, 3029187
LAST_DAY = "2024-12-31"  # of the simulated source


def write(
    site: Site,
    table: str,
    rows: pd.DataFrame,
    day: "pd.Series[pd.Timestamp]",
    concept: int,
    **values: object,
) -> None:
    """Add a row of a concept for each of these persons, on a day each; it hangs on no visit."""
    prefix = PREFIX[table]
    frame = pd.DataFrame(
        {
            "person_id": rows["person_id"].to_numpy(),
            f"{prefix}_concept_id": concept,
            f"{prefix}_type_concept_id": RECORDED,
            DATES[table]: pd.to_datetime(day).to_numpy(),
            **values,
        }
    )
    if table == "drug_exposure":
        frame["drug_exposure_end_date"] = frame[DATES[table]] + pd.Timedelta(days=29)
    add_rows(site, table, frame)


def write_local(
    site: Site, table: str, rows: pd.DataFrame, day: "pd.Series[pd.Timestamp]", name: str, **values: object
) -> None:
    """Do as `write`, with a new concept of the hospital's own."""
    add_concept(site, OWN, name, DOMAIN[table])
    write(site, table, rows, day, OWN, **values)


def copy_persons(site: Site, twins: pd.DataFrame, share: int) -> None:
    """Add copies of persons: twins have person_id, new_id, `moved` days, `copy_no` from 1.

    Visits come whole, and `share` percent of what was recorded.
    """
    visits = site.rows("select max(visit_occurrence_id) as last from cdm_visit_occurrence")
    last_visit = int(visits["last"].iloc[0])
    for table in BY_PERSON:
        kinds = site.rows(f"select column_name, column_type from (describe cdm_{table})")
        wanted = []
        for name, kind in kinds.itertuples(index=False):
            if name == "person_id":
                wanted.append("twins.new_id::bigint")
            elif name == "visit_occurrence_id":
                wanted.append(f"this.visit_occurrence_id + twins.copy_no::bigint * {last_visit}")
            elif name == f"{table}_id":
                wanted.append(f"(select max({name}) from this) + row_number() over (order by new_id, {name})")
            elif kind == "DATE":
                wanted.append(f"cast(this.{name} + twins.moved::integer as date)")
            else:
                wanted.append(f"this.{name}")
        kept = "true"
        if table not in ("person", "observation_period", "death", "visit_occurrence"):
            kept = f"(this.{table}_id * 7919 + twins.new_id * 104729) % 100 < {share}"
        order = "new_id" if table in ("person", "death") else f"new_id, this.{table}_id"
        site.rewrite(
            file_of(table),
            f"select * from this union all (select {', '.join(wanted)} from this"
            f" inner join twins using (person_id) where {kept} order by {order})",
            twins=twins,
        )


def new_numbers(site: Site, persons: pd.DataFrame) -> pd.DataFrame:
    """Return person_id with a `new_id` each, above all that are given."""
    last = int(site.rows("select max(person_id) as last from cdm_person")["last"].iloc[0])
    return pd.DataFrame(
        {"person_id": persons["person_id"].to_numpy(), "new_id": last + 1 + np.arange(len(persons))}
    )
