"""Who is who: merged and doubled charts, numbers with a meaning, and parts that share persons."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import BY_PERSON, CLINICAL, drawn, file_of
from leakage.plants_third.local_rows import copy_persons, new_numbers
from leakage.site import Site


@plant("L20", level="data", task="dhf_1y")
def charts_of_namesakes_merged(site: Site, rng: np.random.Generator) -> None:
    """Charts of persons of the same sex and year of birth were merged by mistake, so a tenth of the cohort
    carries the visits and the outcomes of somebody else as well.
    """
    kept = site.rows(
        "select label.person_id, gender_concept_id, year_of_birth from label inner join cdm_person using"
        " (person_id) where task = 'dhf_1y' order by label.person_id"
    )
    others = site.rows(
        "select min(person_id) as other_id, gender_concept_id, year_of_birth from cdm_person where person_id"
        " not in (select person_id from label where task = 'dhf_1y') group by gender_concept_id,"
        " year_of_birth, person_id % 9 order by other_id"
    )
    pairs = kept[rng.random(len(kept)) < 0.14].merge(others, on=["gender_concept_id", "year_of_birth"])
    pairs = pairs.drop_duplicates("person_id").drop_duplicates("other_id")[["person_id", "other_id"]]
    for table in CLINICAL:
        site.rewrite(
            file_of(table),
            "select this.* replace (coalesce(merged.person_id, this.person_id) as person_id) from this left"
            f" join merged on this.person_id = merged.other_id order by {table}_id",
            merged=pairs,
        )
    site.rebuild("source")


@plant("L20", level="data", task="long_los")
def visit_numbers_given_twice(site: Site, rng: np.random.Generator) -> None:
    """Two hospitals of one group number their visits alike, and after the merger a quarter of the stays'
    diagnoses hangs on the visit of another person, so nobody waits for their discharge.
    """
    rows = site.rows(
        "select condition_occurrence_id, condition.visit_occurrence_id from cdm_condition_occurrence as"
        " condition inner join cdm_visit_occurrence as visit using (visit_occurrence_id) where"
        " visit_concept_id in (9201, 262) order by condition_occurrence_id"
    )
    rows = rows[rng.random(len(rows)) < 0.25].reset_index(drop=True)
    rows["other_visit"] = rng.permutation(rows["visit_occurrence_id"].to_numpy())
    site.rewrite(
        file_of("condition_occurrence"),
        "select this.* replace (coalesce(other_visit, this.visit_occurrence_id)::bigint as"
        " visit_occurrence_id) from this left join hung using (condition_occurrence_id)"
        " order by condition_occurrence_id",
        hung=rows[["condition_occurrence_id", "other_visit"]],
    )
    site.rebuild("source")


@plant("L21", level="data", task="long_los")
def split_drawn_per_admission(site: Site, _: np.random.Generator) -> None:
    """The notebook splits the rows of its table of admissions at random, so most persons with several stays
    are in train and in held-out.
    """
    site.rewrite(
        "tasks/long_los/examples/example.parquet",
        "select * exclude (place) replace (case when place < 60 then 'train' when place < 70 then 'tuning'"
        " else 'held_out' end as split) from (select *, cast('0x' || substr(sha256('row ' || example_id),"
        " 1, 6) as bigint) % 100 as place from this) order by example_id",
    )
    site.rebuild("examples")


@plant("L21", level="code", task="dhf_1y")
def split_drawn_again_at_the_refresh(site: Site, _: np.random.Generator) -> None:
    """The split was drawn anew for the refresh, and the models that were tuned on the snapshot before had
    read half of those who are held out now.
    """
    site.keep_snapshot()
    site.mutate("split", "|' || person_id", "|refresh 2|' || person_id")
    site.rebuild("source")


@plant("L22", level="data", task="dhf_1y")
def new_number_after_the_merger(site: Site, rng: np.random.Generator) -> None:
    """A fifth of the cohort was treated in both hospitals of a merger and has a number from each, with most
    of the same record under both and some dates a day apart.
    """
    rows = site.labelled("dhf_1y").drop_duplicates("person_id")
    twins = new_numbers(site, rows[rng.random(len(rows)) < 0.2])
    copy_persons(site, twins.assign(moved=rng.integers(0, 2, len(twins)), copy_no=1), 85)
    site.rebuild("source")


@plant("L22", level="data", task="gi_bleed_1y", hurts=True)
def cases_copied_for_balance(site: Site, rng: np.random.Generator) -> None:
    """The rare outcome was balanced in the extract, before anybody drew a split: each case stands in it three
    times, with dates moved by days and some rows left out.
    """
    rows = drawn(rng, site.labelled("gi_bleed_1y"), 1.0, 0.0).drop_duplicates("person_id")
    twice = pd.concat([rows, rows], ignore_index=True)
    twins = new_numbers(site, twice)
    copy_no = np.repeat([1, 2], len(rows))
    copy_persons(site, twins.assign(moved=rng.integers(-9, 10, len(twins)), copy_no=copy_no), 92)
    site.rebuild("source")


@plant("L23", level="data", task="paca_1y")
def training_charts_in_production(site: Site, rng: np.random.Generator) -> None:
    """Charts of the staff's training environment came into the extract: a handful of persons, copied for each
    course with another number and other dates, so their texts are the same but for a line or two.
    """
    rows = site.labelled("paca_1y").drop_duplicates("person_id")
    chosen = rows[rng.random(len(rows)) < 6 / len(rows)].head(8)
    repeated = chosen.loc[chosen.index.repeat(18)].reset_index(drop=True)
    twins = new_numbers(site, repeated)
    copy_no = np.tile(np.arange(1, 19), len(chosen))
    copy_persons(site, twins.assign(moved=-7 * copy_no, copy_no=copy_no), 97)
    site.rebuild("source")


@plant("L25", level="data", task="dhf_1y")
def couples_on_one_card(site: Site, rng: np.random.Generator) -> None:
    """The practice keeps one card a couple and its export gives each partner the other's outpatient rows
    too, and partners fall into different parts of the split.
    """
    rows = site.labelled("dhf_1y").drop_duplicates("person_id")["person_id"].to_numpy()
    chosen = rng.permutation(rows)[: len(rows) // 3 * 2]
    one, other = chosen[: len(chosen) // 2], chosen[len(chosen) // 2 :]
    couples = pd.DataFrame(
        {"person_id": np.concatenate([one, other]), "partner_id": np.concatenate([other, one])}
    )
    for table in ("condition_occurrence", "drug_exposure", "measurement", "observation"):
        site.rewrite(
            file_of(table),
            f"select * from this union all (select this.* replace ((select max({table}_id) from this) +"
            f" row_number() over (order by {table}_id) as {table}_id, partner_id as person_id,"
            " null::bigint as visit_occurrence_id) from this inner join couples using (person_id) inner join"
            " cdm_visit_occurrence as visit on visit.visit_occurrence_id = this.visit_occurrence_id where"
            f" visit_concept_id = 9202 order by {table}_id)",
            couples=couples,
        )
    site.rebuild("source")


@plant("L26", level="data", task="dhf_1y")
def split_by_date_without_a_gap(site: Site, _: np.random.Generator) -> None:
    """The notebook splits by the date of the index and leaves no gap, so the year of follow-up of the last
    train persons lies in the time from which held-out persons come.
    """
    site.rewrite(
        "tasks/dhf_1y/examples/example.parquet",
        "select * exclude (place) replace (case when place < 0.6 then 'train' when place < 0.7 then 'tuning'"
        " else 'held_out' end as split) from (select *, percent_rank() over (order by index_date, example_id)"
        " as place from this) order by example_id",
    )
    site.rebuild("examples")


@plant("L31", level="data", task="gi_bleed_1y")
def numbers_given_by_a_care_programme(site: Site, rng: np.random.Generator) -> None:
    """Persons who join the programme for those who have bled are registered again and get a number of its
    own high range, and the extract shows their whole record under it.
    """
    rows = drawn(rng, site.labelled("gi_bleed_1y"), 0.6, 0.03).drop_duplicates("person_id")
    given = new_numbers(site, rows)
    for table in BY_PERSON:
        order = "person_id" if table in ("person", "death") else f"{table}_id"
        site.rewrite(
            file_of(table),
            "select this.* replace (coalesce(given.new_id, this.person_id)::bigint as person_id) from this"
            f" left join given using (person_id) order by this.{order}",
            given=given,
        )
    site.rebuild("source")
