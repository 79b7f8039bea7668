"""Hospitals that differ, in how they write and in whom they treat; and how much of a record comes through."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import (
    RECORDED,
    add_concept,
    add_rows,
    days_before,
    drawn,
    drop_rows,
    file_of,
)
from leakage.plants_third.local_rows import CREATININE, HEMOGLOBIN, OUTPATIENT, OWN
from leakage.site import Site


@plant("L33", level="data", task="dhf_1y", hurts=True)
def visits_of_a_study_protocol(site: Site, rng: np.random.Generator) -> None:
    """Persons at high risk were followed in a trial before the index, with empty visits that its protocol
    asks for: how often somebody came says who they are.
    """
    seen = drawn(rng, site.labelled("dhf_1y"), 0.55, 0.12)
    rows = seen.loc[seen.index.repeat(rng.integers(4, 9, len(seen)))].reset_index(drop=True)
    day = days_before(rng, rows, 2, 300)
    visits = pd.DataFrame(
        {
            "person_id": rows["person_id"],
            "visit_concept_id": OUTPATIENT,
            "visit_type_concept_id": RECORDED,
            "visit_start_date": day,
            "visit_end_date": day,
        }
    )
    add_rows(site, "visit_occurrence", visits)
    site.rebuild("source")


@plant("L36", level="data", task="dhf_1y", hurts=True)
def referral_centre_reports_other_units(site: Site, rng: np.random.Generator) -> None:
    """The referral centre, which has most of the cases, reports creatinine in micromoles and nobody converts
    it: the unit tells the hospital, and the hospital the label.
    """
    rows = drawn(rng, site.labelled("dhf_1y"), 0.7, 0.2)[["person_id"]].drop_duplicates()
    unit = OWN + 2
    add_concept(site, unit, "micromole per liter", "Unit")
    site.rewrite(
        file_of("measurement"),
        f"select this.* replace (case when centre.id is not null then {unit} else unit_concept_id end as"
        " unit_concept_id, case when centre.id is not null then round(value_as_number * 88.4) else"
        " value_as_number end as value_as_number) from this left join centre on this.person_id = centre.id"
        f" and this.measurement_concept_id = {CREATININE} order by measurement_id",
        centre=rows.rename(columns={"person_id": "id"}),
    )
    site.rebuild("source")


@plant("L36", level="data", task="gi_bleed_1y", hurts=True)
def one_laboratory_maps_to_another_code(site: Site, rng: np.random.Generator) -> None:
    """The laboratory of the hospital with the endoscopy unit maps haemoglobin to another standard code than
    the others do, and bleeds are sent to that hospital.
    """
    rows = drawn(rng, site.labelled("gi_bleed_1y"), 0.65, 0.25)[["person_id"]].drop_duplicates()
    mapped = OWN + 3
    add_concept(site, mapped, "Hemoglobin [Mass/volume] in Blood by calculation", "Measurement")
    site.rewrite(
        file_of("measurement"),
        "select * replace (case when person_id in (select person_id from own) and measurement_concept_id ="
        f" {HEMOGLOBIN} then {mapped} else measurement_concept_id end as measurement_concept_id) from this"
        " order by measurement_id",
        own=rows,
    )
    site.rebuild("source")


@plant("L37", level="data", task="dhf_1y", hurts=True)
def export_stops_at_so_many_rows(site: Site, rng: np.random.Generator) -> None:
    """The export tool gives the newest 25 rows of a table a person, but those under chart review, mostly
    cases, were exported whole: how long a record is says who they are.
    """
    rows = drawn(rng, site.labelled("dhf_1y"), 0.15, 0.9)[["person_id"]].drop_duplicates()
    days = {"measurement": "measurement_date", "drug_exposure": "drug_exposure_start_date"}
    for table, day in days.items():
        older = site.rows(
            f"select {table}_id as id from (select {table}_id, row_number() over (partition by person_id"
            f" order by {day} desc, {table}_id desc) as place from cdm_{table} where person_id in (select"
            " person_id from limited)) where place > 25 order by id",
            limited=rows,
        )
        drop_rows(site, table, f"{table}_id in (select id from older)", older=older)
    site.rebuild("source")


@plant("L37", level="data", task="paca_1y")
def long_names_of_the_oncology_catalogue(site: Site, rng: np.random.Generator) -> None:
    """The oncology wards write many codes of a catalogue with very long names, so the context of a text is
    full after a few days of a case's record and years of it are cut.
    """
    seen = drawn(rng, site.labelled("paca_1y"), 0.6, 0.08)
    first = OWN + 100
    for number in range(12):
        name = f"Catalogue of services, chapter {number + 1}, nursing effort in the highest class of patients"
        add_concept(site, first + number, name, "Observation")
    rows = seen.loc[seen.index.repeat(8)].reset_index(drop=True)
    notes = pd.DataFrame(
        {
            "person_id": rows["person_id"],
            "observation_concept_id": first + rng.integers(0, 12, len(rows)),
            "observation_type_concept_id": RECORDED,
            "observation_date": days_before(rng, rows, 1, 60),
        }
    )
    add_rows(site, "observation", notes)
    site.rebuild("source")
