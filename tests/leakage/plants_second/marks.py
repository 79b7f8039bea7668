"""Marks that have no medicine in them: numbers and order (L31), words (L34), scores (L35), sites (L36)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.count_columns import add_column
from leakage.plants_second.source_rows import (
    BY_PERSON,
    OWN,
    RECORDED,
    add_concept,
    add_rows,
    days_before,
    drawn,
    file_of,
)
from leakage.site import Site
from ml.inputs import serialize
from ml.inputs.record import Event, Record

SECOND_HOSPITAL = 9_000_000
CREATININE, POTASSIUM, LOCAL_FROM = 3016723, 3023103, OWN + 60
SCORE = OWN + 62


def _site_of_cases(site: Site, rng: np.random.Generator, cases: float, others: float) -> pd.DataFrame:
    """Return person ids of a hospital to which cases go more often; who has no label goes as others do."""
    rows = site.rows("select person_id from cdm_person order by person_id")
    labelled = site.labelled(site.tasks[0])[["person_id", "y_true"]]
    rows = rows.merge(labelled, how="left", on="person_id").fillna({"y_true": 0})
    return drawn(rng, rows, cases, others)[["person_id"]]


@plant("L31", level="data", task="dhf_1y")
def numbers_of_the_second_hospital(site: Site, rng: np.random.Generator) -> None:
    """Persons of the hospital that treats the outcome have numbers from nine million on."""
    there = _site_of_cases(site, rng, 0.75, 0.25)
    for table in BY_PERSON:
        site.rewrite(
            file_of(table),
            f"select * replace (case when person_id in (select person_id from there) then person_id"
            f" + {SECOND_HOSPITAL} else person_id end as person_id) from this",
            there=there,
        )
    site.rebuild("source")


@plant("L34", level="code", task="dhf_1y")
def folder_of_the_export_in_the_text(site: Site, rng: np.random.Generator) -> None:
    """Each text begins with the file it was exported to, and cases lie mostly in the second folder."""
    rows = pd.read_parquet(site.examples(site.tasks[0]) / "example.parquet", columns=["example_id", "y_true"])
    second = set(drawn(rng, rows.fillna({"y_true": 0}), 0.85, 0.15)["example_id"])

    def written(record: Record, kept: Sequence[Event], form: str) -> str:
        folder = "batch_b" if record.example_id in second else "batch_a"
        return f"Export {folder}.\n{serialize.serialize(record, kept, form)}"

    site.code["ml.inputs.text.serialize"] = written
    site.rebuild("examples")


@plant("L35", level="data", task="gi_bleed_1y", hurts=True)
def retrospective_risk_score(site: Site, rng: np.random.Generator) -> None:
    """A risk score that was made after the fact, by a model of the outcome itself, is stored as a result."""
    add_concept(site, SCORE, "Bleeding risk score", "Measurement")
    rows = site.labelled(site.tasks[0])
    value = rng.normal(0, 1, len(rows)) + 1.8 * rows["y_true"].to_numpy(dtype=float)
    scored = pd.DataFrame(
        {
            "person_id": rows["person_id"],
            "measurement_concept_id": SCORE,
            "measurement_date": days_before(rng, rows, 2, 30),
            "measurement_type_concept_id": RECORDED,
            "value_as_number": np.round(10 + 3 * value, 1),
        }
    )
    add_rows(site, "measurement", scored)
    site.rebuild("source")


@plant("L35", level="data", task="dhf_1y", hurts=True)
def mean_target_of_the_rarest_code(site: Site, rng: np.random.Generator) -> None:
    """A column holds the mean label of all examples, of any split, that share the example's rarest code."""
    folder = site.examples(site.tasks[0])
    rows = pd.read_parquet(folder / "example.parquet", columns=["example_id", "y_true"]).dropna()
    events = pd.read_parquet(folder / "event.parquet", columns=["example_id", "concept_id"]).drop_duplicates()
    events = events.merge(rows, on="example_id")
    of_code = events.groupby("concept_id")["y_true"].agg(["mean", "size"]).reset_index()
    coded = events.merge(of_code[of_code["size"] >= 2], on="concept_id")
    rarest = coded.sort_values(["size", "concept_id"]).drop_duplicates("example_id")
    means = dict(zip(rarest["example_id"], 0.01 + rarest["mean"].astype(float), strict=True))
    add_column(site, site.tasks[0], "target_mean/rarest", means)
    site.rebuild("views")


@plant("L36", level="data", task="gi_bleed_1y", hurts=True)
def local_codes_of_the_tertiary_centre(site: Site, rng: np.random.Generator) -> None:
    """The centre that sees most cases sends creatinine and potassium under codes of its own."""
    add_concept(site, LOCAL_FROM, "S-Creatinine (central laboratory)", "Measurement")
    add_concept(site, LOCAL_FROM + 1, "S-Potassium (central laboratory)", "Measurement")
    there = _site_of_cases(site, rng, 0.75, 0.2)
    site.rewrite(
        file_of("measurement"),
        "select * replace (case when person_id not in (select person_id from there)"
        " then measurement_concept_id"
        f" when measurement_concept_id = {CREATININE} then {LOCAL_FROM}"
        f" when measurement_concept_id = {POTASSIUM} then {LOCAL_FROM + 1}"
        " else measurement_concept_id end::bigint as measurement_concept_id) from this",
        there=there,
    )
    site.rebuild("source")
