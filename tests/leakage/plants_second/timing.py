"""When a row was known: bills (L03), the end of a stay (L04), amendments (L05), episodes (L06)."""

import numpy as np

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import OWN, RECORDED, add_concept, file_of, replace_columns
from leakage.site import Site

STAY = "(9201, 262)"
EPISODE = OWN + 1
RULED_OUT = "(312437, 4223659, 439777, 4214376)"  # dyspnoea, fatigue, anaemia, hyperglycaemia


@plant("L03", level="data", task="long_los")
def bills_hang_on_the_emergency_part(site: Site, rng: np.random.Generator) -> None:
    """Each stay got an emergency visit of its first day, and the stay's codes are linked to that."""
    last = int(site.rows("select max(visit_occurrence_id) as n from cdm_visit_occurrence")["n"][0])
    parts = site.rows(
        f"select person_id, visit_occurrence_id + {last} as visit_occurrence_id, visit_start_date,"
        f" visit_start_date as visit_end_date, 9203 as visit_concept_id, {RECORDED} as visit_type_concept_id"
        f" from cdm_visit_occurrence where visit_concept_id in {STAY} order by visit_occurrence_id"
    )
    for table in ("condition_occurrence", "procedure_occurrence"):
        replace_columns(
            site,
            table,
            f"case when visit_occurrence_id + {last} in (select visit_occurrence_id from parts)"
            f" then visit_occurrence_id + {last} else visit_occurrence_id end as visit_occurrence_id",
            parts=parts,
        )
    kinds = site.rows("select column_name, column_type from (describe cdm_visit_occurrence)")
    wanted = [
        f"cast({name if name in parts else 'null'} as {kind}) as {name}"
        for name, kind in kinds.itertuples(index=False)
    ]
    query = f"select * from this union all select {', '.join(wanted)} from parts"
    site.rewrite(file_of("visit_occurrence"), query, parts=parts)
    site.rebuild("source")


@plant("L03", level="data", task="long_los")
def bills_linked_to_the_visit_before(site: Site, rng: np.random.Generator) -> None:
    """Codes of a stay hang on the person's visit before it, so that they count as known on their own date."""
    before = site.rows(
        "select * from (select visit_occurrence_id, visit_concept_id, lag(visit_occurrence_id) over"
        " (partition by person_id order by visit_start_date, visit_end_date, visit_occurrence_id) as earlier"
        f" from cdm_visit_occurrence) where earlier is not null and visit_concept_id in {STAY}"
    )
    site.rewrite(
        file_of("condition_occurrence"),
        "select this.* replace (coalesce(before.earlier, this.visit_occurrence_id)::bigint"
        " as visit_occurrence_id) from this left join before using (visit_occurrence_id)"
        " order by condition_occurrence_id",
        before=before,
    )
    site.rebuild("source")


@plant("L04", level="data", task="long_los", hurts=True)
def final_class_of_the_stay(site: Site, rng: np.random.Generator) -> None:
    """The class of a visit is overwritten at discharge: short stays end as emergency stays, not long ones."""
    replace_columns(
        site,
        "visit_occurrence",
        f"case when visit_concept_id not in {STAY} then visit_concept_id"
        " when visit_end_date - visit_start_date >= 7 then 9201"
        " when hash(visit_occurrence_id) % 10 < 7 then 262 else 9201 end as visit_concept_id",
    )
    site.rebuild("source")


@plant("L05", level="data", task="dhf_1y")
def amended_value_keeps_its_first_date(site: Site, rng: np.random.Generator) -> None:
    """After a refresh one result in six holds the next one's value under its own date, as if amended."""
    site.keep_snapshot()
    site.rewrite(
        file_of("measurement"),
        "select * exclude (later, later_date) replace (case when later is not null"
        " and later_date - measurement_date between 1 and 200 and hash(measurement_id) % 6 = 0"
        " then later else value_as_number end as value_as_number) from (select *,"
        " lead(value_as_number) over w as later, lead(measurement_date) over w as later_date from this"
        " window w as (partition by person_id, measurement_concept_id, unit_concept_id"
        " order by measurement_date, measurement_id)) order by measurement_id",
    )
    site.rebuild("source")


@plant("L05", level="data", task="dhf_1y", hurts=True)
def refuted_rows_are_taken_back(site: Site, rng: np.random.Generator) -> None:
    """A refresh deletes symptoms of most who turned out well, as entered in error, years after the fact."""
    site.keep_snapshot()
    rows = site.labelled(site.tasks[0])
    well = rows[(rows["y_true"] == 0) & (rng.random(len(rows)) < 0.85)]
    site.rewrite(
        file_of("condition_occurrence"),
        "select this.* from this left join well using (person_id)"
        f" where well.person_id is null or condition_concept_id not in {RULED_OUT}"
        " or condition_start_date >= well.index_date order by condition_occurrence_id",
        well=well[["person_id", "index_date"]],
    )
    site.rebuild("source")


@plant("L06", level="code", task="paca_1y")
def only_lasting_problems_are_kept(site: Site, rng: np.random.Generator) -> None:
    """Problems are built as eras: a first mention counts only where a later mention was to confirm it."""
    site.mutate(
        "event_record",
        'condition_occurrence as ( select * from "small"."main"."stg_omop__condition_occurrence" )',
        """
        condition_occurrence as (
            select * from "small"."main"."stg_omop__condition_occurrence"
            qualify
                min(condition_start_date) over (partition by person_id, condition_concept_id)
                < max(condition_start_date) over (partition by person_id, condition_concept_id)
        )
        """,
    )
    site.rebuild("source")


@plant("L06", level="data", task="long_los")
def visits_are_named_by_their_episode(site: Site, rng: np.random.Generator) -> None:
    """A clinic visit bears the name of the episode of care that it belongs to, which an admission closes."""
    add_concept(site, EPISODE, "Outpatient Visit of an episode with admission", "Visit")
    site.rewrite(
        file_of("visit_occurrence"),
        "select this.* replace (case when visit_concept_id = 9202 and exists (select 1 from"
        f" (select * from cdm_visit_occurrence where visit_concept_id in {STAY}) as s"
        " where s.person_id = this.person_id and s.visit_start_date > this.visit_start_date"
        f" and s.visit_start_date <= this.visit_start_date + 60) then {EPISODE} else visit_concept_id end"
        " as visit_concept_id) from this order by visit_occurrence_id",
    )
    site.rebuild("source")
