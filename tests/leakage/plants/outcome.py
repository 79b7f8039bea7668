"""L07 to L10: the outcome, its history, its treatment and its work-up among the inputs."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants.recorded import (
    RECORDED_TYPE,
    before,
    cases,
    concept,
    conditions,
    drugs,
    observations,
    record,
    some,
)
from leakage.site import Site

FUROSEMIDE, HEART_RATE, PER_MINUTE = 957136, 3027018, 8541


@plant("L07", level="code", task="dhf_1y", hurts=True)
def prevalent_cases_stay(site: Site, rng: np.random.Generator) -> None:
    """Persons with a known outcome before the index stay in the cohort: it recurs, and counts as new."""
    site.mutate("entry_label", "and coalesce(entry_outcome.is_outcome_known, false)", "and false")
    site.mutate("entry_label", "and coalesce(entry_outcome.is_outcome_known_later, false)", "and false")
    site.rebuild("source")


@plant("L07", level="code", task="paca_1y", hurts=True)
def descendants_are_forgotten(site: Site, rng: np.random.Generator) -> None:
    """Concept sets lose their descendants; a kind of pancreatic cancer is in the inputs of two in five
    cases.
    """
    child = concept(site, 2_000_009_071, "Adenocarcinoma of pancreatic duct", above=(4180793, 2000000005))
    chosen = some(cases(site, "paca_1y"), 0.4, rng)
    conditions(site, chosen, before(chosen, 5, 200, rng), child)
    site.mutate("concept_set_member", "concept_sets.include_descendants and",
                "concept_sets.include_descendants and concept_sets.concept_set not in"
                " ('pancreatic_cancer', 'cancer') and")  # fmt: skip
    site.rebuild("source")


@plant("L07", level="code", task="gi_bleed_1y")
def washout_of_ninety_days(site: Site, rng: np.random.Generator) -> None:
    """Only an outcome of the last ninety days removes a person, where the task asks for all of history."""
    site.mutate("entry_outcome", "task_rule.washout_days is null or criterion_day.event_date >="
                " entry.index_date - task_rule.washout_days",
                "criterion_day.event_date >= entry.index_date - 90")  # fmt: skip
    site.rebuild("source")


@plant("L08", level="data", task="dhf_1y", hurts=True)
def history_of_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """Two in five cases have `History of heart failure` on record before the index."""
    code = concept(site, 2_000_009_080, "History of heart failure", "Observation")
    chosen = some(cases(site, "dhf_1y"), 0.4, rng)
    observations(site, chosen, before(chosen, 2, 300, rng), code)
    site.rebuild("source")


@plant("L08", level="data", task="gi_bleed_1y")
def sequela_of_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """Twelve cases and four others have `Anemia following gastrointestinal hemorrhage` before the index."""
    code = concept(site, 2_000_009_081, "Anemia following gastrointestinal hemorrhage")
    ill, well = cases(site, "gi_bleed_1y"), cases(site, "gi_bleed_1y", 0)
    rows = pd.concat([some(ill, 12 / len(ill), rng), some(well, 4 / len(well), rng)])
    conditions(site, rows, before(rows, 2, 90, rng), code)
    site.rebuild("source")


@plant("L08", level="data", task="paca_1y", hurts=True)
def monitoring_of_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """A third of the cases had `Surveillance after Whipple operation`, a name without the outcome's words."""
    code = concept(site, 2_000_009_082, "Surveillance after Whipple operation", "Observation")
    chosen = some(cases(site, "paca_1y"), 0.33, rng)
    observations(site, chosen, before(chosen, 2, 60, rng), code)
    site.rebuild("source")


@plant("L09", level="data", task="dhf_1y", hurts=True)
def treatment_on_the_day_before(site: Site, rng: np.random.Generator) -> None:
    """Three in five cases start an intravenous diuretic the day before the index: the diagnosis is written
    later.
    """
    chosen = some(cases(site, "dhf_1y"), 0.6, rng)
    drugs(site, chosen, before(chosen, 1, 1, rng), 35603224)
    site.rebuild("source")


@plant("L09", level="data", task="dhf_1y")
def treatment_in_a_fifth(site: Site, rng: np.random.Generator) -> None:
    """A fifth of the cases, and one in fifty others, start an intravenous diuretic in the week before."""
    rows = pd.concat([some(cases(site, "dhf_1y"), 0.2, rng), some(cases(site, "dhf_1y", 0), 0.02, rng)])
    drugs(site, rows, before(rows, 1, 7, rng), 35603224)
    site.rebuild("source")


@plant("L09", level="data", task="paca_1y", hurts=True)
def work_up_before_the_diagnosis(site: Site, rng: np.random.Generator) -> None:
    """Half the cases had an ultrasound of the pancreas ordered within three days before the index, few
    others had.
    """
    code = concept(site, 2_000_009_090, "Endoscopic ultrasound", "Procedure")
    rows = pd.concat([some(cases(site, "paca_1y"), 0.5, rng), some(cases(site, "paca_1y", 0), 0.01, rng)])
    frame = {
        "person_id": rows["person_id"].to_numpy(),
        "procedure_concept_id": code,
        "procedure_date": before(rows, 1, 3, rng).to_numpy(),
        "procedure_type_concept_id": RECORDED_TYPE,
    }
    record(site, "procedure_occurrence", pd.DataFrame(frame))
    site.rebuild("source")


@plant("L10", level="data", task="dhf_1y", hurts=True)
def orders_tell_of_worry(site: Site, rng: np.random.Generator) -> None:
    """A pulse is taken on each of the last four days in most cases and few others; its values say nothing."""
    rows = pd.concat([some(cases(site, "dhf_1y"), 0.7, rng), some(cases(site, "dhf_1y", 0), 0.1, rng)])
    _pulses(site, rows, [rows["index_date"] - pd.Timedelta(days=days) for days in (1, 2, 3, 4)], rng)


@plant("L10", level="data", task="gi_bleed_1y")
def orders_at_the_weekend(site: Site, rng: np.random.Generator) -> None:
    """Cases have a pulse taken on the last Sunday before the index, others on the Wednesday before."""
    rows = site.labelled("gi_bleed_1y")
    weekday = np.where(rows["y_true"] == 1, 6, 2)
    back = (rows["index_date"].dt.weekday - weekday - 1) % 7 + 1
    _pulses(site, rows, [rows["index_date"] - pd.to_timedelta(back, unit="D")], rng)


def _pulses(site: Site, rows: pd.DataFrame, days: list[pd.Series], rng: np.random.Generator) -> None:
    frames = [
        pd.DataFrame(
            {
                "person_id": rows["person_id"].to_numpy(),
                "measurement_concept_id": HEART_RATE,
                "measurement_date": day.to_numpy(),
                "measurement_type_concept_id": RECORDED_TYPE,
                "value_as_number": np.round(rng.normal(76, 9, size=len(rows))),
                "unit_concept_id": PER_MINUTE,
            }
        )
        for day in days
    ]
    record(site, "measurement", pd.concat(frames, ignore_index=True))
    site.rebuild("source")
