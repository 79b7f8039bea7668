"""Tasks of the tests that start at an event: small windows, and every field that can apply."""

from definitions.catalogue import Defined, criterion, define
from definitions.vocabulary import UNIT

SIGN = criterion("entry", "Condition", "t_sign")
DISEASE = criterion("outcome", "Condition", "t_disease")
LAB_HIGH = {"value_operator": ">=", "value_threshold": 7.5, "unit_concept_id": UNIT}
REPRODUCTION = {"anchor": "event", "design": "reproduction"}

EVENT_CONCEPT: tuple[Defined, ...] = (
    define("ec_plain", SIGN, DISEASE, anchor="event", tar_end_days=5, prior_observation_days=3),
    define(
        "ec_all", SIGN, DISEASE,
        anchor="event", entry_limit="all", tar_start_days=3, tar_end_days=10, washout_days=0, age_min=40,
        age_max=60,
    ),
    define(
        "ec_first_qualifying", SIGN,
        criterion("require", "Condition", "t_comorbidity", window_start_days=-5, window_end_days=-1,
                  min_count=1),
        DISEASE,
        anchor="event", entry_limit="first_qualifying", tar_end_days=4, washout_days=5, sex_concept_id=8532,
        prior_observation_days=1,
    ),
    define(
        "ec_keep_cases", SIGN, DISEASE,
        anchor="event", entry_limit="first_qualifying", tar_start_days=2, tar_end_days=6, washout_days=5,
        follow_up_policy="keep_cases", index_day_input="include",
    ),
    define(
        "ec_death_null", SIGN, DISEASE,
        anchor="event", tar_end_days=5, death_policy="null_label", age_min=18,
    ),
    define(
        "ec_allow", SIGN, DISEASE, criterion("outcome", "Procedure", "t_procedure"),
        anchor="event", entry_limit="all", tar_start_days=2, tar_end_days=2, outcome_in_history="allow",
        death_policy="null_label", follow_up_policy="keep_cases", age_max=64,
    ),
    define(
        "ec_counts", SIGN,
        criterion("require", "Condition", "t_comorbidity", window_start_days=-6, min_count=2, max_count=2),
        criterion("require", "Measurement", "t_lab", any_of=1, min_count=1, **LAB_HIGH),
        criterion("require", "Drug", "t_drug", any_of=1, window_start_days=-4, window_end_days=0,
                  min_count=2),
        criterion("require", "Procedure", "t_procedure", window_end_days=-2, min_count=0, max_count=0),
        criterion("forbid", "Drug", "t_other_drug", window_start_days=-3, window_end_days=-1),
        DISEASE,
        anchor="event", entry_limit="all", tar_end_days=5,
    ),
    define(
        "ec_same_visit", SIGN,
        criterion("require", "Drug", "t_drug", min_count=1, same_visit_as=1),
        criterion("forbid", "Procedure", "t_procedure", window_start_days=-5, same_visit_as=4),
        criterion("require", "Visit", "t_hospital", window_start_days=-5, min_count=0, max_count=3),
        criterion("outcome", "Condition", "t_disease", same_visit_as=4),
        anchor="event", entry_limit="first_qualifying", tar_end_days=6, washout_days=5,
    ),
    define(
        "ec_confirm", SIGN, DISEASE,
        criterion("confirm", "Condition", "t_disease", window_start_days=0, window_end_days=4, min_count=2),
        anchor="event", tar_start_days=2, tar_end_days=6, washout_days=0,
    ),
    define(
        "ec_confirm_keep", SIGN, DISEASE, criterion("outcome", "Observation", "t_finding"),
        criterion("confirm", "Measurement", "t_lab", any_of=1, window_start_days=-1, window_end_days=2,
                  min_count=1,
                  value_operator=">", value_threshold=7.5, unit_concept_id=UNIT),
        criterion("confirm", "Drug", "t_drug", any_of=1, window_start_days=-3, window_end_days=3, min_count=1,
                  same_visit_as=2),
        criterion("confirm", "Procedure", "t_procedure", window_start_days=-2, window_end_days=3, min_count=0,
                  max_count=1),
        anchor="event", entry_limit="first_qualifying", tar_end_days=5, follow_up_policy="keep_cases",
        death_policy="null_label",
    ),
    define(
        "ec_ahead", SIGN,
        criterion("require", "Condition", "t_sign", window_start_days=0, window_end_days=3, min_count=1,
                  max_count=2),
        criterion("forbid", "Condition", "t_comorbidity", window_end_days=2),
        criterion("require", "Drug", "t_drug", any_of=2, window_start_days=-2, window_end_days=4, min_count=1,
                  same_visit_as=1),
        criterion("require", "Observation", "t_finding", any_of=2, window_end_days=1, min_count=1,
                  value_concept_set="t_answer"),
        DISEASE,
        criterion("confirm", "Drug", "t_other_drug", window_start_days=-4, window_end_days=-1, min_count=0,
                  max_count=0),
        **REPRODUCTION, tar_start_days=0, tar_end_days=4, washout_days=3, follow_up_policy="negative",
        unconfirmed_policy="null_label",
    ),
    define(
        "ec_unconfirmed", SIGN, DISEASE,
        criterion("confirm", "Drug", "t_drug", window_start_days=-2, window_end_days=-1, min_count=0,
                  max_count=0),
        criterion("confirm", "Condition", "t_disease", window_start_days=1, window_end_days=3, min_count=1,
                  max_count=1),
        **REPRODUCTION, tar_end_days=6, washout_days=2, unconfirmed_policy="null_label",
    ),
    define(
        "ec_value_entry",
        criterion("entry", "Measurement", "t_lab", **LAB_HIGH),
        criterion("entry", "Observation", "t_finding", value_concept_set="t_answer"),
        criterion("entry", "Drug", "t_drug", same_visit_as=4),
        criterion("forbid", "Condition", "t_comorbidity", window_start_days=-2, window_end_days=0),
        criterion("outcome", "Drug", "t_other_drug"),
        anchor="event", entry_limit="all", tar_end_days=3, washout_days=1, index_day_input="include",
    ),
    define(
        "ec_visit_entry",
        criterion("entry", "Visit", "t_clinic"),
        criterion("entry", "Visit end", "t_ward", value_concept_set="t_discharge"),
        criterion("require", "Stay", "t_hospital", window_start_days=-10, window_end_days=-1, min_count=1),
        criterion("forbid", "Stay", "t_ward", window_start_days=-8, min_length_days=3),
        criterion("outcome", "Procedure", "t_procedure"),
        criterion("outcome", "Observation", "t_finding", value_concept_set="t_answer"),
        anchor="event", entry_limit="all", tar_start_days=2, tar_end_days=5, death_policy="null_label",
    ),
)  # fmt: skip

EVENT_CONCEPT_MOVED: tuple[Defined, ...] = (
    define(
        "em_plain", SIGN, DISEASE, **REPRODUCTION,
        tar_end_days=8, index_rule="outcome_or_last_visit", index_gap_days=0, prior_observation_days=2,
    ),
    define(
        "em_gap", SIGN, DISEASE, **REPRODUCTION,
        entry_limit="first_qualifying", tar_start_days=0, tar_end_days=6, washout_days=2,
        index_rule="outcome_or_last_visit", index_gap_days=2, follow_up_policy="negative",
        index_day_input="include", age_min=45,
    ),
    define(
        "em_keep_cases", SIGN, DISEASE, **REPRODUCTION,
        tar_start_days=3, tar_end_days=9, index_rule="outcome_or_last_visit", index_gap_days=1,
        follow_up_policy="keep_cases", death_policy="null_label", sex_concept_id=8507,
    ),
    define(
        "em_allow", SIGN, criterion("outcome", "Drug", "t_drug"), **REPRODUCTION,
        entry_limit="first_qualifying", tar_start_days=0, tar_end_days=3, outcome_in_history="allow",
        index_rule="outcome_or_last_visit", index_gap_days=30, death_policy="null_label",
        follow_up_policy="negative", age_max=50,
    ),
    define(
        "em_confirm", SIGN,
        criterion("require", "Condition", "t_sign", window_end_days=20, min_count=2),
        DISEASE,
        criterion("confirm", "Condition", "t_disease", window_start_days=0, window_end_days=3, min_count=2),
        criterion("confirm", "Measurement", "t_lab", any_of=1, window_start_days=0, window_end_days=3,
                  min_count=1,
                  **LAB_HIGH),
        criterion("confirm", "Drug", "t_drug", any_of=1, window_start_days=-3, window_end_days=3, min_count=1,
                  same_visit_as=3),
        **REPRODUCTION, tar_start_days=2, tar_end_days=7, index_rule="outcome_or_last_visit",
        index_gap_days=0,
        follow_up_policy="negative", unconfirmed_policy="null_label",
    ),
    define(
        "em_unconfirmed", SIGN, DISEASE,
        criterion("confirm", "Condition", "t_comorbidity", window_start_days=-5, window_end_days=-1,
                  min_count=0,
                  max_count=0),
        criterion("confirm", "Condition", "t_disease", window_start_days=1, window_end_days=5, min_count=1,
                  max_count=2),
        **REPRODUCTION, entry_limit="first_qualifying", tar_end_days=7, index_rule="outcome_or_last_visit",
        index_gap_days=0, unconfirmed_policy="null_label", follow_up_policy="keep_cases", washout_days=0,
    ),
    define(
        "em_visit",
        criterion("entry", "Visit", "t_clinic"),
        criterion("forbid", "Condition", "t_comorbidity", window_end_days=4),
        DISEASE,
        **REPRODUCTION, entry_limit="first_qualifying", tar_start_days=0, tar_end_days=12,
        index_rule="outcome_or_last_visit", index_gap_days=0, index_day_input="include",
        follow_up_policy="negative", washout_days=0,
    ),
)  # fmt: skip
