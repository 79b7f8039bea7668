"""Tasks of the tests at the start or the end of a stay: small windows, and every field that can apply."""

from definitions.catalogue import Defined, criterion, define
from definitions.vocabulary import OTHER_UNIT, UNIT

WARD = criterion("entry", "Stay", "t_ward")
HOSPITAL = criterion("entry", "Stay", "t_hospital")
DISEASE = criterion("outcome", "Condition", "t_disease")
AT_END = {"anchor": "visit_end", "entry_limit": "all", "index_day_input": "include"}
AT_START = {"anchor": "visit_start", "entry_limit": "all", "index_day_input": "include"}
IN_STAY = {**AT_START, "tar_end": "visit_end"}
NOT_TRANSFERRED = criterion(
    "forbid", "Visit end", "t_ward", window_start_days=0, window_end_days=0, value_concept_set="t_discharge"
)

VISIT_END_CONCEPT: tuple[Defined, ...] = (
    define("dc_plain", WARD, DISEASE, **AT_END, tar_end_days=5, age_min=18),
    define("dc_washout", HOSPITAL, DISEASE, **AT_END, tar_end_days=4, washout_days=0,
           prior_observation_days=2),
    define(
        "dc_first", WARD, NOT_TRANSFERRED, DISEASE,
        anchor="visit_end", tar_start_days=2, tar_end_days=6, washout_days=5, follow_up_policy="keep_cases",
    ),
    define(
        "dc_qualifying", HOSPITAL,
        criterion("require", "Condition", "t_comorbidity", min_count=1, same_visit_as=3),
        criterion("require", "Visit", "t_hospital", window_start_days=-10, min_count=1),
        DISEASE,
        anchor="visit_end", entry_limit="first_qualifying", tar_start_days=3, tar_end_days=10,
        death_policy="null_label", sex_concept_id=8507,
    ),
    define(
        "dc_allow", WARD, criterion("outcome", "Drug", "t_drug"),
        anchor="visit_end", entry_limit="all", tar_end_days=2, outcome_in_history="allow", age_max=70,
        death_policy="null_label", follow_up_policy="keep_cases",
    ),
    define(
        "dc_confirm", WARD, DISEASE,
        criterion("confirm", "Condition", "t_disease", window_start_days=1, window_end_days=5, min_count=1),
        **AT_END, tar_end_days=4, washout_days=1,
    ),
    define(
        "dc_value_criteria", WARD,
        criterion("require", "Measurement", "t_lab", window_start_days=-4, min_count=1, value_operator="<",
                  value_threshold=7.5, unit_concept_id=UNIT),
        criterion("forbid", "Observation", "t_finding", window_start_days=-4, value_operator="<=",
                  value_threshold=2.0, unit_concept_id=UNIT),
        criterion("outcome", "Procedure", "t_procedure"), criterion("outcome", "Observation", "t_finding"),
        **AT_END, tar_end_days=3,
    ),
    define(
        "dc_negative", HOSPITAL,
        criterion("require", "Condition", "t_disease", window_start_days=-4, window_end_days=6, min_count=1),
        DISEASE,
        **AT_END, design="reproduction", tar_start_days=0, tar_end_days=5, washout_days=4,
        follow_up_policy="negative", death_policy="null_label",
    ),
)  # fmt: skip

VISIT_START_CONCEPT: tuple[Defined, ...] = (
    define("ac_plain", WARD, DISEASE, **AT_START, tar_end_days=5, washout_days=5),
    define("ac_in_stay", HOSPITAL, DISEASE, **IN_STAY, prior_observation_days=2),
    define(
        "ac_in_stay_keep", WARD, DISEASE,
        **IN_STAY, tar_start_days=2, follow_up_policy="keep_cases", death_policy="null_label", washout_days=3,
    ),
    define(
        "ac_day_zero", HOSPITAL,
        criterion("require", "Condition", "t_comorbidity", any_of=1, min_count=1),
        criterion("require", "Condition", "t_sign", any_of=1, min_count=1),
        DISEASE,
        anchor="visit_start", entry_limit="all", design="reproduction", tar_start_days=0, tar_end_days=5,
        follow_up_policy="negative", prior_observation_days=3,
    ),
    define(
        "ac_in_stay_day_zero", WARD, DISEASE,
        **IN_STAY, design="reproduction", tar_start_days=0, washout_days=0,
    ),
    define(
        "ac_in_stay_confirm", WARD, DISEASE,
        criterion("confirm", "Drug", "t_drug", window_start_days=0, window_end_days=2, min_count=1,
                  same_visit_as=2),
        **IN_STAY, outcome_in_history="allow",
    ),
    define(
        "ac_first", HOSPITAL, DISEASE,
        anchor="visit_start", tar_start_days=3, tar_end_days=8, age_min=30, age_max=80, sex_concept_id=8532,
    ),
    define(
        "ac_qualifying", WARD,
        criterion("forbid", "Stay", "t_ward", window_start_days=-6, window_end_days=-1),
        criterion("require", "Visit", "t_hospital", window_start_days=-1, min_count=1, max_count=1),
        criterion("outcome", "Condition", "t_disease", same_visit_as=3),
        anchor="visit_start", entry_limit="first_qualifying", tar_end_days=4, index_day_input="include",
    ),
)  # fmt: skip

VISIT_END_VISIT: tuple[Defined, ...] = (
    define("dv_plain", WARD, NOT_TRANSFERRED, criterion("outcome", "Stay", "t_ward"),
           **AT_END, tar_end_days=5, outcome_in_history="allow"),
    define("dv_other_set", WARD, criterion("outcome", "Stay", "t_hospital"),
           **AT_END, tar_end_days=6, outcome_in_history="allow", age_min=18, follow_up_policy="keep_cases"),
    define("dv_clinic", HOSPITAL, criterion("outcome", "Stay", "t_clinic"),
           **AT_END, tar_start_days=2, tar_end_days=6, washout_days=3, death_policy="null_label"),
    define("dv_forbid_zero", WARD, criterion("outcome", "Stay", "t_ward"),
           **AT_END, tar_start_days=3, tar_end_days=9, washout_days=0),
    define("dv_first", HOSPITAL, criterion("outcome", "Stay", "t_hospital"),
           anchor="visit_end", tar_end_days=4, outcome_in_history="allow", death_policy="null_label"),
    define("dv_qualifying", WARD,
           criterion("require", "Stay", "t_ward", window_start_days=-6, min_count=1, min_length_days=2),
           criterion("outcome", "Stay", "t_ward"), criterion("outcome", "Stay", "t_clinic"),
           anchor="visit_end", entry_limit="first_qualifying", tar_end_days=5, outcome_in_history="allow",
           prior_observation_days=4, index_day_input="include"),
    define("dv_confirm", WARD, criterion("outcome", "Stay", "t_ward"),
           criterion("confirm", "Condition", "t_disease", window_start_days=0, window_end_days=3,
                     min_count=1),
           **AT_END, tar_end_days=5, outcome_in_history="allow"),
    define("dv_negative", WARD, criterion("outcome", "Stay", "t_ward"),
           **AT_END, design="reproduction", tar_start_days=0, tar_end_days=7, outcome_in_history="allow",
           follow_up_policy="negative", sex_concept_id=8507),
)  # fmt: skip

VISIT_START_LENGTH: tuple[Defined, ...] = (
    define("al_plain", WARD, criterion("outcome", "Stay", "t_ward", min_length_days=3),
           **IN_STAY, outcome_in_history="allow", age_min=18),
    define("al_one_day", HOSPITAL, criterion("outcome", "Stay", "t_hospital", min_length_days=1),
           **IN_STAY, outcome_in_history="allow", death_policy="null_label"),
    define("al_days", WARD, criterion("outcome", "Stay", "t_ward", min_length_days=4),
           **AT_START, tar_end_days=6, outcome_in_history="allow", follow_up_policy="keep_cases"),
    define("al_new", WARD, criterion("outcome", "Stay", "t_ward", min_length_days=2),
           **IN_STAY, follow_up_policy="keep_cases", death_policy="null_label"),
    define("al_washout", HOSPITAL, criterion("outcome", "Stay", "t_ward", min_length_days=2),
           **AT_START, tar_start_days=3, tar_end_days=6, washout_days=5),
    define("al_late_start", WARD, criterion("outcome", "Stay", "t_ward", min_length_days=4),
           **IN_STAY, tar_start_days=3, washout_days=0),
    define("al_first", WARD, criterion("outcome", "Stay", "t_hospital", min_length_days=5),
           anchor="visit_start", tar_end="visit_end", outcome_in_history="allow", prior_observation_days=1),
    define("al_qualifying", WARD,
           criterion("require", "Stay", "t_ward", window_start_days=-30, min_count=1, min_length_days=2),
           criterion("forbid", "Condition", "t_comorbidity", window_start_days=-5),
           criterion("outcome", "Stay", "t_ward", min_length_days=2),
           anchor="visit_start", entry_limit="first_qualifying", tar_end="visit_end",
           outcome_in_history="allow",
           sex_concept_id=8532, index_day_input="include"),
)  # fmt: skip

DEATH = criterion("outcome", "Death")

VISIT_START_DEATH: tuple[Defined, ...] = (
    define("ad_in_stay", HOSPITAL, DEATH, **IN_STAY),
    define("ad_days", WARD, DEATH, **AT_START, tar_end_days=5, prior_observation_days=2),
    define("ad_keep", WARD, DEATH, **IN_STAY, follow_up_policy="keep_cases", age_min=50),
    define("ad_late", HOSPITAL, DEATH,
           **AT_START, tar_start_days=3, tar_end_days=7, follow_up_policy="keep_cases", sex_concept_id=8507),
    define("ad_negative", WARD, DEATH,
           **AT_START, design="reproduction", tar_start_days=0, tar_end_days=4, follow_up_policy="negative"),
    define("ad_first", WARD,
           criterion("forbid", "Condition", "t_disease", window_start_days=-3),
           DEATH, anchor="visit_start", tar_end="visit_end", age_max=70),
    define("ad_qualifying", HOSPITAL,
           criterion("require", "Condition", "t_comorbidity", window_start_days=-4, min_count=1),
           DEATH, anchor="visit_start", entry_limit="first_qualifying", tar_end_days=3,
           index_day_input="include"),
    define("ad_confirm", WARD, DEATH,
           criterion("confirm", "Condition", "t_disease", window_start_days=-3, window_end_days=0,
                     min_count=1),
           **AT_START, tar_end_days=6),
    define("ad_composite", WARD, DEATH, DISEASE, **AT_START, tar_start_days=2, tar_end_days=5,
           washout_days=3),
)  # fmt: skip

LAB_HIGH = criterion(
    "outcome", "Measurement", "t_lab", value_operator=">", value_threshold=7.5, unit_concept_id=UNIT
)
LAB_HIGH_OTHER = criterion(
    "outcome", "Measurement", "t_lab", value_operator=">=", value_threshold=75.0, unit_concept_id=OTHER_UNIT
)
LAB_LOW = criterion(
    "outcome", "Measurement", "t_lab", value_operator="<", value_threshold=7.5, unit_concept_id=UNIT
)

VISIT_START_VALUE: tuple[Defined, ...] = (
    define("av_in_stay", WARD, LAB_HIGH, LAB_HIGH_OTHER, **IN_STAY, washout_days=0),
    define("av_days", HOSPITAL, LAB_LOW, **AT_START, tar_end_days=3, washout_days=2),
    define("av_negative_unmeasured", WARD, LAB_HIGH,
           **IN_STAY, unmeasured_policy="negative", outcome_in_history="allow"),
    define("av_keep", WARD, LAB_HIGH,
           **AT_START, tar_start_days=2, tar_end_days=5, follow_up_policy="keep_cases",
           death_policy="null_label"),
    define("av_answer", WARD,
           criterion("outcome", "Observation", "t_finding", value_operator="<=", value_threshold=7.5,
                     unit_concept_id=UNIT, value_concept_set="t_answer"),
           **IN_STAY, follow_up_policy="keep_cases", prior_observation_days=1),
    define("av_day_zero", HOSPITAL, LAB_HIGH,
           **AT_START, design="reproduction", tar_start_days=0, tar_end_days=3, follow_up_policy="negative",
           washout_days=3, death_policy="null_label"),
    define("av_confirm", WARD, LAB_HIGH,
           criterion("confirm", "Measurement", "t_lab", window_start_days=1, window_end_days=3, min_count=1,
                     value_operator=">", value_threshold=7.5, unit_concept_id=UNIT),
           **AT_START, tar_end_days=4, outcome_in_history="allow"),
    define("av_first", WARD,
           criterion("require", "Measurement", "t_other_lab", window_start_days=-2, min_count=1,
                     value_operator=">",
                     value_threshold=1.0, unit_concept_id=UNIT),
           LAB_LOW, anchor="visit_start", tar_end="visit_end", age_min=18, sex_concept_id=8532),
    define("av_qualifying", HOSPITAL, LAB_HIGH,
           anchor="visit_start", entry_limit="first_qualifying", tar_end_days=4, index_day_input="include"),
)  # fmt: skip

LANDMARK_DEATH: tuple[Defined, ...] = (
    define("ld_date", DEATH, anchor="landmark", landmark_date="2016-02-29", tar_end_days=5,
           prior_observation_days=3),
    define("ld_date_keep", DEATH, anchor="landmark", landmark_date="2015-07-01", tar_start_days=3,
           tar_end_days=9,
           follow_up_policy="keep_cases", age_min=40, age_max=64, index_day_input="include"),
    define("ld_age", DEATH, anchor="landmark", landmark_age=50, tar_end_days=4, sex_concept_id=8507),
    define("ld_age_criteria",
           criterion("require", "Condition", "t_comorbidity", min_count=1),
           criterion("forbid", "Condition", "t_disease", window_start_days=-5),
           DEATH, anchor="landmark", landmark_age=40, tar_end_days=5),
    define("ld_negative",
           criterion("forbid", "Drug", "t_drug", window_start_days=-3, window_end_days=3),
           DEATH, anchor="landmark", landmark_age=65, tar_start_days=0, tar_end_days=6,
           design="reproduction", follow_up_policy="negative"),
    define("ld_composite", DEATH, DISEASE, anchor="landmark", landmark_date="2015-07-01", tar_start_days=2,
           tar_end_days=6, washout_days=4),
    define("ld_age_composite", DEATH, DISEASE, anchor="landmark", landmark_age=30, tar_start_days=3,
           tar_end_days=6, follow_up_policy="keep_cases"),
    define("ld_long", DEATH, anchor="landmark", landmark_age=18, tar_end_days=30, prior_observation_days=10),
    define("ld_confirm", DEATH,
           criterion("confirm", "Condition", "t_disease", window_start_days=-6, window_end_days=1,
                     min_count=1,
                     max_count=2),
           anchor="landmark", landmark_date="2016-02-29", tar_end_days=6),
)  # fmt: skip
