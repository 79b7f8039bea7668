"""Log hazards a step of care: drugs, contacts and admissions."""

import numpy as np

from ml.simulator.view import View

# A supply lasts 90 days: the next one is due 75 days after the last, and is then usually fetched.
SUPPLY_DAYS = 90
_DUE_DAYS = 75
_NOT_NOW = np.float32(-30.0)
_FETCH = np.float32(0.0)
# A course is a single supply, taken again from time to time.
COURSE_DAYS = 30

# Long-term drugs: what they are given for and the log hazard of a start.
_LONG_TERM: dict[str, tuple[tuple[str, ...], float]] = {
    "metformin": (("type_2_diabetes",), -2.3),
    "insulin": (("type_2_diabetes",), -5.0),
    "lisinopril": (("hypertension", "heart_failure"), -2.8),
    "amlodipine": (("hypertension",), -3.6),
    "simvastatin": (("hyperlipidemia", "myocardial_infarction"), -3.0),
    "aspirin": (("myocardial_infarction", "stroke", "type_2_diabetes"), -3.8),
    "warfarin": (("atrial_fibrillation",), -2.8),
    "furosemide": (("heart_failure",), -2.2),
    "spironolactone": (("heart_failure",), -3.2),
    "levothyroxine": (("hypothyroidism",), -1.8),
    "sertraline": (("depression",), -3.2),
}
_STOPPED_DAYS = 180


def long_term(v: View, drug: str) -> np.ndarray:
    """Return log hazards of a supply: due ones are mostly fetched, others start where there is a reason."""
    reasons, start = _LONG_TERM[drug]
    indicated = np.max([v.ever(reason) for reason in reasons], axis=0)
    begun = np.where(indicated > 0, np.float32(start), _NOT_NOW)
    if drug == "insulin":
        begun = begun + np.clip(v.lab("hba1c") - 7, 0, 3)
    taking = v.within(drug, _STOPPED_DAYS) > 0
    due = v.within(drug, _DUE_DAYS - 1) == 0
    return np.where(taking, np.where(due, _FETCH, _NOT_NOW), begun)


def course(v: View, drug: str) -> np.ndarray:
    """Return log hazards of a course of a drug for pain, or of prednisone."""
    base = {
        "ibuprofen": -4.9 + 0.9 * v.ever("osteoarthritis"),
        "naproxen": -5.4 + 0.9 * v.ever("osteoarthritis"),
        "diclofenac": -6.9 + 1.2 * v.ever("osteoarthritis") + 0.4 * v.ever("gout"),
        "celecoxib": -7.1 + 1.4 * v.ever("osteoarthritis"),
        "prednisone": -5.7 + 1.2 * v.ever("emphysema") + 0.6 * v.ever("gout"),
        "acetaminophen": -4.6 + 0.5 * v.ever("osteoarthritis"),
    }[drug]
    return base + 1.0 * v.recent_always(drug, 150)


def contact(v: View) -> np.ndarray:
    """Return log hazards of a routine contact: illness (related to risk) and habit (unrelated)."""
    illness = (
        0.45 * v.ever("type_2_diabetes")
        + 0.3 * v.ever("chronic_kidney_disease")
        + 0.3 * v.ever("heart_failure")
        + 0.4 * v.ever("pancreatic_cancer")
        + 0.5 * v.recent_always("dyspnea", 120)
        + 0.5 * v.recent_always("weight_loss", 120)
        + 0.15 * v.stays
    )
    return (
        -2.2
        + 0.08 * np.clip(v.decade, -3, 3)
        + np.float32(v.on.risky_visits) * illness
        + 0.55 * v.habit(v.contacts)
    )


def admission(v: View) -> np.ndarray:
    """Return log hazards of an admission for something else, fast after a discharge."""
    return (
        -5.4
        + 0.35 * np.clip(v.decade, -3, 3)
        + 1.6 * v.discharged(40)
        + 0.8 * v.ever("heart_failure")
        + 0.5 * v.ever("chronic_kidney_disease")
        + 0.6 * v.ever("emphysema")
        + 0.4 * v.ever("other_cancer")
        + 0.6 * v.ever("pancreatic_cancer")
        + 0.35 * v.stays
    )
