"""Log hazards a step of the diseases that tasks predict, and of the ends of observation.

Rates are raised: see the package. The terms named by a switch are the mechanisms of METHODS 25.
"""

import numpy as np

from ml.simulator.view import View


def heart_failure(v: View) -> np.ndarray:
    """Fast after new diabetes; order of hypertension and kidney disease, creatinine's slope, NSAIDs."""
    creatinine = v.lab("creatinine")
    kidney = (creatinine > 1.4).astype(np.float32)
    return (
        -7.45
        + 3.1 * v.onset("type_2_diabetes", 300)
        + 0.5 * np.clip(v.decade, -3, 3)
        + 0.3 * v.male
        + 0.4 * v.ever("smoker")
        + 1.0 * v.after("hypertension", "chronic_kidney_disease")
        + 0.7 * np.clip(v.slope("creatinine") / 0.2, -1.5, 2)
        + 0.9 * np.clip(creatinine - 0.95, -0.3, 1.5)
        + 0.25 * np.clip((v.lab("systolic") - 130) / 10, -2, 3)
        + 0.4 * v.nsaid(180)
        + 1.3 * v.both(kidney, v.nsaid(180))
        + 0.7 * v.ever("myocardial_infarction")
        + 1.4 * v.recent("myocardial_infarction", 300)
        + 1.1 * v.ever("atrial_fibrillation")
        + 0.6 * v.ever("emphysema")
        + 1.5 * v.recent("dyspnea", 200)
        + 1.6 * v.group("heart_muscle_disorder")
        + 0.4 * v.stays
        + 0.35 * v.busy()
    )


def pancreatic_cancer(v: View) -> np.ndarray:
    """Fast after the entry events of the task; diabetes after weight loss; HbA1c's slope."""
    uncontrolled = (v.lab("hba1c") > 6.5).astype(np.float32)
    return (
        -7.5
        + 3.0 * v.onset("type_2_diabetes", 300)
        + 3.0 * v.onset("weight_loss", 300)
        + 3.0 * v.onset("acute_pancreatitis", 300)
        + 3.0 * v.onset("upper_abdominal_pain", 300)
        + 0.55 * np.clip(v.decade, -2.5, 3)
        + 0.8 * v.ever("smoker")
        + 1.1 * v.ever("family_history")
        + 1.0 * v.ever("alcoholism")
        + 0.6 * v.ever("gallstone")
        + 0.05 * np.clip(28 - v.lab("bmi"), -6, 6)
        + 1.3 * v.after("type_2_diabetes", "weight_loss")
        + 1.1 * v.after("depression", "anemia")
        + 0.7 * np.clip(v.slope("hba1c") / 0.6, -1.5, 2)
        + 0.5 * np.clip(v.lab("hba1c") - 5.7, -0.5, 3)
        + 1.3 * v.both(uncontrolled, v.any_within(("prednisone",), 180))
        + 1.2 * v.recent("hyperglycemia", 250)
        + 1.1 * v.recent("fatigue", 200)
        + 1.7 * v.group("pancreas_lesion")
        + 0.35 * v.busy()
    )


def gastrointestinal_bleed(v: View) -> np.ndarray:
    """Fast on a recent NSAID, more so with warfarin or a low haemoglobin; haemoglobin's fall; ulcers."""
    low = (v.lab("hemoglobin") < 12.5).astype(np.float32)
    nsaid = v.nsaid(180)
    return (
        -6.85
        + 1.9 * nsaid
        + 0.9 * v.onset("diclofenac", 200)
        + 0.5 * v.onset("celecoxib", 200)
        + 0.25 * np.clip(v.decade, -3, 3)
        + 0.8 * v.ever("peptic_ulcer")
        + 0.5 * v.ever("alcoholism")
        + 0.5 * v.within("aspirin", 120)
        + 0.5 * v.within("warfarin", 120)
        + 0.5 * v.within("prednisone", 120)
        + 1.2 * v.both(nsaid, v.within("warfarin", 120))
        + 0.9 * v.both(nsaid, low)
        + 0.5 * np.clip(-v.slope("hemoglobin") / 0.8, -1.5, 2)
        + 1.0 * v.recent("gastrointestinal_bleed", 180)
        + 1.6 * v.group("digestive_vascular_lesion")
        + 0.35 * v.busy()
    )


def death(v: View) -> np.ndarray:
    """Age, heart failure, cancers, a recent infarction or stay."""
    return (
        -6.7
        + 0.5 * np.clip(v.decade, -3, 3.5)
        + 0.2 * v.male
        + 0.8 * v.ever("heart_failure")
        + 2.4 * v.ever("pancreatic_cancer")
        + 1.0 * v.ever("other_cancer")
        + 0.7 * v.ever("smoker")
        + 0.4 * v.ever("chronic_kidney_disease")
        + 1.1 * v.discharged(120)
        + 1.0 * v.recent("myocardial_infarction", 90)
        + 0.3 * v.stays
    )


def loss(v: View) -> np.ndarray:
    """About 5% a year; the young move more."""
    return -5.45 - 0.1 * np.clip(v.decade, -3, 3)
