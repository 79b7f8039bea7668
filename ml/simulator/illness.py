"""Log hazards a step of the conditions that no task predicts but that risks are made of."""

from collections.abc import Callable

import numpy as np

from ml.simulator.view import View

CONDITION_HAZARDS: dict[str, Callable[[View], np.ndarray]] = {
    "type_2_diabetes": lambda v: (
        -6.0
        + 0.15 * np.clip(v.decade, -3, 2)
        + 0.9 * np.clip(v.lab("hba1c") - 5.7, -0.5, 2)
        + 0.05 * np.clip(v.lab("bmi") - 28, -6, 10)
        + 0.6 * v.recent_always("hyperglycemia", 180)
        + 0.3 * v.ever("hyperlipidemia")
        + 0.7 * v.ever("weight_loss")
    ),
    "hypertension": lambda v: (
        -5.4
        + 0.2 * np.clip(v.decade, -3, 2)
        + 0.4 * np.clip((v.lab("systolic") - 130) / 10, -2, 3)
        + 0.05 * np.clip(v.lab("bmi") - 28, -6, 10)
        + 1.0 * v.discharged(250)
    ),
    "hyperlipidemia": lambda v: (
        -5.7
        + 0.15 * np.clip(v.decade, -3, 2)
        + 0.55 * np.clip((v.lab("ldl") - 120) / 30, -2, 3)
        + 0.4 * v.ever("type_2_diabetes")
        + 1.0 * v.discharged(250)
    ),
    "chronic_kidney_disease": lambda v: (
        -5.3 + 0.25 * np.clip(v.decade, -3, 2) + 0.9 * np.clip(v.lab("creatinine") - 0.95, -0.4, 1.5)
    ),
    "myocardial_infarction": lambda v: (
        -7.3
        + 1.5 * v.discharged(200)
        + 0.3 * np.clip((v.lab("ldl") - 120) / 30, -2, 3)
        + 0.5 * v.ever("chronic_kidney_disease")
        + 0.35 * np.clip(v.decade, -3, 3)
        + 0.4 * v.male
        + 0.8 * v.ever("smoker")
        + 0.7 * v.ever("type_2_diabetes")
        + 0.3 * v.ever("hypertension")
        + 0.3 * v.ever("hyperlipidemia")
    ),
    "atrial_fibrillation": lambda v: (
        -7.0 + 0.6 * np.clip(v.decade, -3, 3) + 0.5 * v.ever("hypertension") + 0.8 * v.ever("heart_failure")
    ),
    "emphysema": lambda v: -7.6 + 0.3 * np.clip(v.decade, -3, 3) + 1.5 * v.ever("smoker"),
    "anemia": lambda v: (
        -5.4
        + 0.1 * np.clip(v.decade, -3, 3)
        + 0.5 * np.clip(13.5 - v.lab("hemoglobin"), -1, 4)
        + 0.3 * v.female
        + 0.8 * v.ever("gastrointestinal_bleed")
    ),
    "other_cancer": lambda v: -7.9 + 0.5 * np.clip(v.decade, -3, 3) + 0.5 * v.ever("smoker"),
    "weight_loss": lambda v: (
        -7.7
        + 0.25 * np.clip(v.decade, -3, 3)
        + 1.0 * v.ever("pancreatic_cancer")
        + 0.3 * v.ever("depression")
    ),
    "acute_pancreatitis": lambda v: (
        -8.2
        + 1.3 * v.ever("alcoholism")
        + 1.0 * v.ever("gallstone")
        + 0.7 * v.recent_always("acute_pancreatitis", 365)
    ),
    "upper_abdominal_pain": lambda v: (
        -7.7 + 0.5 * v.ever("peptic_ulcer") + 0.4 * v.ever("gallstone") + 0.3 * v.ever("reflux")
    ),
    "peptic_ulcer": lambda v: -6.6 + 0.6 * v.nsaid(180) + 0.4 * v.ever("smoker"),
    "reflux": lambda v: -6.0 + 0.04 * np.clip(v.lab("bmi") - 28, -6, 10),
    "osteoarthritis": lambda v: (
        -5.6 + 0.45 * np.clip(v.decade, -3, 3) + 0.04 * np.clip(v.lab("bmi") - 28, -6, 10)
    ),
    "gallstone": lambda v: -6.8 + 0.5 * v.female + 0.04 * np.clip(v.lab("bmi") - 28, -6, 10),
    "depression": lambda v: -5.2 + 0.3 * v.female - 0.05 * v.decade,
    "hypothyroidism": lambda v: -6.9 + 0.9 * v.female,
    "alcoholism": lambda v: -6.8 + 0.7 * v.male - 0.2 * v.decade,
    "dyspnea": lambda v: (
        -6.0
        + 0.25 * np.clip(v.decade, -3, 3)
        + 0.9 * v.ever("heart_failure")
        + 1.0 * v.ever("emphysema")
        + 0.5 * v.recent_always("dyspnea", 180)
    ),
    "fatigue": lambda v: -5.4 + 0.5 * v.ever("anemia") + 0.4 * v.ever("depression"),
    "hyperglycemia": lambda v: -6.3 + 0.9 * np.clip(v.lab("hba1c") - 5.7, -0.5, 2.5),
    "stroke": lambda v: (
        -7.9
        + 0.5 * np.clip(v.decade, -3, 3)
        + 0.6 * v.ever("atrial_fibrillation")
        + 0.4 * v.ever("hypertension")
    ),
    "diabetic_complication": lambda v: np.where(
        v.ever("type_2_diabetes") > 0, -5.2 + 0.5 * np.clip(v.lab("hba1c") - 6.5, -0.5, 3), -30.0
    ),
    "other_diabetes": lambda v: -7.8 - 0.2 * v.decade,
    "gout": lambda v: -7.1 + 0.8 * v.male + 0.4 * np.clip(v.lab("creatinine") - 0.95, 0, 1.5),
    "heart_muscle_disorder": lambda v: -6.2 + 0.15 * v.decade,
    "pancreas_lesion": lambda v: -6.2 + 0.15 * v.decade,
    "digestive_vascular_lesion": lambda v: -6.3 + 0.15 * v.decade,
    "benign_skin_lesion": lambda v: -5.8 + 0.4 * v.habit(v.contacts),
    "eye_or_ear_change": lambda v: -5.8 + 0.4 * v.habit(v.contacts),
    "minor_illness": lambda v: -2.9 - 0.1 * v.decade + 0.8 * v.habit(v.minor),
}
PROCEDURE_HAZARDS: dict[str, Callable[[View], np.ndarray]] = {
    "electrocardiogram": lambda v: (
        -5.2 + 0.2 * v.decade + 0.8 * v.ever("atrial_fibrillation") + 0.8 * v.ever("myocardial_infarction")
    ),
    "chest_x_ray": lambda v: -5.6 + 0.9 * v.ever("emphysema") + 0.5 * v.ever("dyspnea"),
    "colonoscopy": lambda v: -6.2 + 0.2 * v.decade + 0.7 * v.ever("anemia"),
    "abdominal_ultrasound": lambda v: (
        -6.3 + 1.2 * v.ever("gallstone") + 1.2 * v.recent_always("upper_abdominal_pain", 120)
    ),
    "dialysis": lambda v: np.where(
        v.ever("chronic_kidney_disease") > 0,
        -6.6 + 2.0 * np.clip(v.lab("creatinine") - 1.4, 0, 2) + 2.5 * v.recent_always("dialysis", 90),
        -30.0,
    ),
    "echocardiogram": lambda v: -6.6 + 1.6 * v.ever("heart_failure") + 0.9 * v.ever("atrial_fibrillation"),
}
