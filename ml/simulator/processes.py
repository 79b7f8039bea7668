"""What can happen in a step: one row a process, in the order of every array of the simulator."""

from dataclasses import dataclass

STEP_DAYS = 30


@dataclass(frozen=True)
class Process:
    """One kind of recorded event; at most one a person and step.

    `again`: it may happen more than once. `inpatient` and `emergency`: share of its events that open a stay,
    or else an emergency visit. `repeats`: once recorded, the code is written down again at later contacts and
    stays. `later`: the entry of `concepts.csv` whose codes are used then and at enrolment, if not its own.
    """

    name: str
    kind: str
    again: bool = True
    inpatient: float = 0.0
    emergency: float = 0.0
    repeats: bool = False
    later: str = ""


def _chronic(name: str, inpatient: float = 0.0, emergency: float = 0.0, later: str = "") -> Process:
    return Process(
        name, "condition", again=False, inpatient=inpatient, emergency=emergency, repeats=True, later=later
    )


def _acute(name: str, inpatient: float = 0.0, emergency: float = 0.0) -> Process:
    return Process(name, "condition", inpatient=inpatient, emergency=emergency)


CONDITIONS = (
    _chronic("type_2_diabetes", inpatient=0.04),
    _chronic("hypertension"),
    _chronic("hyperlipidemia"),
    _chronic("chronic_kidney_disease"),
    _chronic("myocardial_infarction", inpatient=0.9, emergency=0.1, later="old_myocardial_infarction"),
    _chronic("atrial_fibrillation", inpatient=0.2, emergency=0.2),
    _chronic("emphysema"),
    _chronic("anemia"),
    _chronic("heart_failure", inpatient=0.4, emergency=0.2),
    _chronic("pancreatic_cancer", inpatient=0.3),
    _chronic("other_cancer", inpatient=0.2),
    _acute("weight_loss"),
    _acute("acute_pancreatitis", inpatient=0.8, emergency=0.2),
    _acute("upper_abdominal_pain", emergency=0.3),
    _acute("gastrointestinal_bleed", inpatient=0.5, emergency=0.4),
    _chronic("peptic_ulcer"),
    _chronic("reflux"),
    _chronic("osteoarthritis"),
    _chronic("gallstone", emergency=0.1),
    _chronic("depression"),
    _chronic("hypothyroidism"),
    _chronic("alcoholism"),
    _acute("dyspnea", emergency=0.3),
    _acute("fatigue"),
    _acute("hyperglycemia"),
    _chronic("stroke", inpatient=0.8, emergency=0.2),
    _chronic("gout"),
    _chronic("diabetic_complication"),
    _chronic("other_diabetes"),
    _acute("heart_muscle_disorder"),
    _acute("pancreas_lesion"),
    _acute("digestive_vascular_lesion"),
    _acute("benign_skin_lesion"),
    _acute("eye_or_ear_change"),
    _acute("minor_illness", emergency=0.15),
)
DRUGS = tuple(
    Process(name, "drug")
    for name in (
        "metformin",
        "insulin",
        "lisinopril",
        "amlodipine",
        "simvastatin",
        "aspirin",
        "warfarin",
        "furosemide",
        "spironolactone",
        "ibuprofen",
        "naproxen",
        "diclofenac",
        "celecoxib",
        "prednisone",
        "levothyroxine",
        "sertraline",
        "acetaminophen",
    )
)
PROCEDURES = tuple(
    Process(name, "procedure")
    for name in (
        "electrocardiogram",
        "chest_x_ray",
        "colonoscopy",
        "abdominal_ultrasound",
        "echocardiogram",
        "dialysis",
    )
)
CARE = (Process("contact", "contact"), Process("admission", "admission"))
ENDS = (Process("death", "end"), Process("loss", "end"))
# Drawn from a hazard in every step, in this order. The rest of PROCESSES is recorded as a consequence.
HAZARDS = CONDITIONS + DRUGS + PROCEDURES + CARE + ENDS
# A stay that an event opens; its end in another hospital; a second stay of the same step.
STAYS = (Process("stay", "stay"), Process("transfer", "transfer"), Process("second_stay", "stay"))
OBSERVATIONS = (Process("smoker", "observation"), Process("family_history", "observation"))
LABORATORY = tuple(
    Process(name, "measurement")
    for name in ("hba1c", "creatinine", "systolic", "bmi", "hemoglobin", "glucose", "ldl", "potassium")
)
PROCESSES = (*HAZARDS, *STAYS, *OBSERVATIONS, *LABORATORY)

INDEX = {process.name: number for number, process in enumerate(PROCESSES)}
N_HAZARDS = len(HAZARDS)
FIRST_LAB = INDEX[LABORATORY[0].name]
NSAIDS = ("ibuprofen", "naproxen", "diclofenac", "celecoxib")
GROUPS = (
    "heart_muscle_disorder",
    "pancreas_lesion",
    "digestive_vascular_lesion",
    "benign_skin_lesion",
    "eye_or_ear_change",
)
