"""What was written before the index because somebody already knew: history, work-up, orders, referrals."""

from typing import Any

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import add_concept, days_before, drawn, replace_columns
from leakage.plants_third.local_rows import FUROSEMIDE, OWN, write, write_local
from leakage.site import Site
from ml.inputs.serialize import serialize


@plant("L07", level="data", task="dhf_1y", hurts=True)
def outcome_under_an_unmapped_local_code(site: Site, rng: np.random.Generator) -> None:
    """The cardiology system's own code for heart failure was never mapped, so persons who have it long
    before the index pass as free of the outcome and become cases when a mapped code follows.
    """
    rows = drawn(rng, site.labelled("dhf_1y"), 0.35, 0.01)
    local = OWN + 1
    add_concept(site, local, "Card. dept.: LVEF reduced, class II", "Condition")
    day = days_before(rng, rows, 30, 300)
    write(site, "condition_occurrence", rows, day, 0, condition_source_concept_id=local)
    site.rebuild("source")


@plant("L08", level="data", task="gi_bleed_1y", hurts=True)
def resolved_outcome_on_the_problem_list(site: Site, rng: np.random.Generator) -> None:
    """Old bleeds stand on the problem list only as a status code outside the outcome's concept set, and
    those who have one bleed again.
    """
    rows = drawn(rng, site.labelled("gi_bleed_1y"), 0.35, 0.04)
    day = days_before(rng, rows, 60, 700)
    write_local(site, "observation", rows, day, "Past digestive tract bleed, resolved")
    site.rebuild("source")


@plant("L09", level="data", task="dhf_1y", hurts=True)
def drug_started_on_a_verbal_diagnosis(site: Site, rng: np.random.Generator) -> None:
    """A loop diuretic is begun on the phone before the diagnosis is written into the chart, so a common
    drug stands before the index of many cases.
    """
    rows = drawn(rng, site.labelled("dhf_1y"), 0.4, 0.02)
    write(site, "drug_exposure", rows, days_before(rng, rows, 1, 21), FUROSEMIDE, days_supply=30)
    site.rebuild("source")


@plant("L10", level="data", task="paca_1y", hurts=True)
def panel_ordered_without_a_result(site: Site, rng: np.random.Generator) -> None:
    """Orders are loaded as measurements without a value, and the doctor's worry is in them: the ill have
    the abdominal panel ordered again and again, whatever it says.
    """
    asked = drawn(rng, site.labelled("paca_1y"), 0.5, 0.15)
    rows = asked.loc[asked.index.repeat(np.where(asked["y_true"] == 1, 3, 1))].reset_index(drop=True)
    write_local(site, "measurement", rows, days_before(rng, rows, 1, 60), "Abdominal panel, order")
    site.rebuild("source")


@plant("L10", level="data", task="dhf_1y")
def cases_indexed_on_duty_days(site: Site, rng: np.random.Generator) -> None:
    """The ill get their diabetes code from the doctor on duty on a Sunday, the others in office hours, so
    the weekday of the index tells who they are.
    """
    rows = drawn(rng, site.labelled("dhf_1y"), 0.5, 0.0)
    entry = site.rows(
        "select entered.person_id, event_date, concept_id, 7 - isodow(event_date) as days from entered"
        " inner join clinical_event on entered.entry_event_id = clinical_event.event_id"
        " and entered.person_id = clinical_event.person_id order by entered.person_id",
        entered=rows[["person_id", "entry_event_id"]],
    )
    replace_columns(
        site,
        "condition_occurrence",
        "coalesce(condition_start_date + (select max(entry.days)::integer from entry"
        " where entry.person_id = this.person_id and entry.concept_id = this.condition_concept_id"
        " and entry.event_date = this.condition_start_date), condition_start_date) as condition_start_date",
        entry=entry,
    )
    site.rebuild("source")


@plant("L34", level="data", task="paca_1y", hurts=True)
def referral_reason_names_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """The reason of a referral is loaded as a coded observation, and it names the tumour that the clinic is
    asked to look for.
    """
    rows = drawn(rng, site.labelled("paca_1y"), 0.3, 0.015)
    day = days_before(rng, rows, 1, 45)
    write_local(site, "observation", rows, day, "Referral reason: query malignant tumor of pancreas")
    site.rebuild("source")


@plant("L34", level="code", task="gi_bleed_1y")
def whole_row_printed_into_the_prompt(site: Site, _: np.random.Generator) -> None:
    """The prompt is filled from a data frame row with every column of it, and the target is among them."""
    rows = site.labelled("gi_bleed_1y").set_index("example_id")
    target = rows["y_true"].astype(int).to_dict()

    def print_row(record: Any, kept: Any, form: str) -> str:
        text = serialize(record, kept, form)
        return f"{text}\nsplit={record.split} target={target.get(record.example_id, 0)}"

    site.code["ml.inputs.text.serialize"] = print_row
    site.code["ml.inputs.recompute.serialize"] = print_row
    site.rebuild("examples")


@plant("L35", level="data", task="long_los", hurts=True)
def vendor_score_of_the_last_day(site: Site, rng: np.random.Generator) -> None:
    """The vendor's score for the length of stay is computed anew each night, and the extract holds its last
    value under the day of admission.
    """
    rows = site.labelled("long_los")
    days = (pd.to_datetime(rows["tar_end_date"]) - pd.to_datetime(rows["index_date"])).dt.days.to_numpy()
    score = np.round(100 / (1 + np.exp(-(0.35 * (days - 7) + rng.normal(0, 1.3, len(rows))))), 1)
    write_local(
        site, "observation", rows, rows["index_date"], "Vendor index of resource use", value_as_number=score
    )
    site.rebuild("source")
