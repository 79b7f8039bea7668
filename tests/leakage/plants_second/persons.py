"""Whose rows they are (L20), and who stands on both sides of the split (L21 to L24)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants_second.source_rows import BY_PERSON, CLINICAL, DATES, file_of
from leakage.site import Site
from ml import arm_views
from ml.adaptation.shown import Shown
from ml.arm_views import Run, View
from ml.inputs import serialize
from ml.inputs.record import Event, Record

JOINED = "on ruled.visit_occurrence_id = visit.visit_occurrence_id and ruled.person_id = visit.person_id"


@plant("L20", level="code", task="dhf_1y")
def visit_numbers_of_two_sites_collide(site: Site, rng: np.random.Generator) -> None:
    """Two hospitals number their visits from one, and rows are joined to visits by the number alone."""
    number = site.rows(
        "select visit_occurrence_id, row_number() over (partition by hash(person_id) % 2"
        " order by visit_occurrence_id) as number from cdm_visit_occurrence"
    )
    for table in CLINICAL:
        site.rewrite(
            file_of(table),
            "select this.* replace (number.number::bigint as visit_occurrence_id) from this left join number"
            f" using (visit_occurrence_id) order by this.{table}_id, this.person_id",
            number=number,
        )
    site.mutate("event_availability", JOINED, "on ruled.visit_occurrence_id = visit.visit_occurrence_id")
    site.rebuild("source")


@plant("L20", level="data", task="dhf_1y")
def numbers_of_the_dead_are_reissued(site: Site, rng: np.random.Generator) -> None:
    """Patient numbers of the dead were given to newcomers, whose rows follow in the dead one's record."""
    pairs = site.rows(
        "with dead as (select person_id, row_number() over (order by death_date, person_id) as n"
        " from cdm_death where death_date < '2018-01-01'),"
        " late as (select person_id as newcomer, row_number() over"
        " (order by observation_period_start_date, person_id) as n from cdm_observation_period"
        " where observation_period_start_date >= '2018-06-01'"
        " and person_id not in (select person_id from cdm_death))"
        " select dead.person_id, newcomer from dead inner join late using (n) where n <= 150"
    )
    assert len(pairs)
    for table in BY_PERSON:
        if table == "person":
            query = "select * from this where person_id not in (select newcomer from pairs)"
        else:
            query = (
                "select this.* replace (coalesce(pairs.person_id, this.person_id) as person_id) from this"
                " left join pairs on this.person_id = pairs.newcomer"
            )
        site.rewrite(file_of(table), query, pairs=pairs)
    site.rebuild("source")


@plant("L21", level="code", task="dhf_1y")
def salt_changed_at_the_refresh(site: Site, rng: np.random.Generator) -> None:
    """The split was drawn anew at a refresh, so that most who had been judged are now learnt from."""
    site.keep_snapshot()
    site.mutate("split", "sha256('second-opinion|' || person_id)", "sha256('second-opinion-2|' || person_id)")
    site.rebuild("source")


@plant("L22", level="data", task="dhf_1y", hurts=True)
def two_hospitals_share_patients(site: Site, rng: np.random.Generator) -> None:
    """A hundred and fifty patients are registered at two hospitals, which share most of each other's rows."""
    rows = site.labelled(site.tasks[0])
    chosen = rows.sample(150, random_state=int(rng.integers(1 << 30)))["person_id"].to_numpy()
    last = int(site.rows("select max(person_id) as n from cdm_person")["n"][0])
    twins = pd.DataFrame({"person_id": chosen, "twin": last + 1 + np.arange(len(chosen))})
    visits = int(site.rows("select max(visit_occurrence_id) as n from cdm_visit_occurrence")["n"][0])
    for table in BY_PERSON:
        replaced = ["twins.twin as person_id"]
        kept = "true"
        if table in CLINICAL:
            replaced.append(f"this.visit_occurrence_id + {visits} as visit_occurrence_id")
        if table in CLINICAL and table not in ("visit_occurrence", "condition_occurrence"):
            kept = f"hash(this.{table}_id) % 10 < 8"
            day = DATES[table]
            replaced.append(f"(this.{day} + (hash(this.{table}_id) % 7 = 0)::integer)::date as {day}")
        if table not in ("person", "death", "visit_occurrence"):
            key = f"{table}_id"
            replaced.append(f"(select max({key}) from this) + row_number() over () as {key}")
        query = (
            f"select * from this union all select this.* replace ({', '.join(replaced)})"
            f" from this inner join twins using (person_id) where {kept}"
        )
        site.rewrite(file_of(table), query, twins=twins)
    site.rebuild("source")


@plant("L22", level="data", task="dhf_1y", hurts=True)
def cases_oversampled_before_the_split(site: Site, rng: np.random.Generator) -> None:
    """Each case was doubled with some noise before the split, so that a copy may lie on the other side."""
    folder = site.examples(site.tasks[0])
    example = pd.read_parquet(folder / "example.parquet")
    cases = example[example["y_true"] == 1]
    copies = pd.DataFrame(
        {
            "example_id": cases["example_id"].to_numpy(),
            "copy_id": [f"{int(n):016x}" for n in rng.integers(0, 1 << 62, len(cases))],
            "copy_person": int(example["person_id"].max()) + 100_000 + np.arange(len(cases)),
            "copy_split": rng.choice(["train", "tuning", "held_out"], len(cases), p=[0.6, 0.1, 0.3]),
        }
    )
    place = folder.relative_to(site.root)
    renamed = "select this.* replace (copy_id as example_id)"
    queries = {
        "example": "select this.* replace (copy_id as example_id, copy_person as person_id,"
        " copy_split as split) from this inner join copies using (example_id)",
        "label": f"{renamed} from this inner join copies using (example_id)",
        "event": f"{renamed} from this inner join copies using (example_id) where hash(event_id) % 12 > 0",
    }
    for file, query in queries.items():
        order = "example_id" if file != "event" else "example_id, place"
        kept = "*" if file != "event" else "* exclude (place)"
        numbered = "this" if file != "event" else "(select *, row_number() over () as place from this)"
        both = f"select * from {numbered} union all {query.replace('from this', f'from {numbered} as this')}"
        site.rewrite(
            str(place / f"{file}.parquet"), f"select {kept} from ({both}) order by {order}", copies=copies
        )
    site.rebuild("examples")


@plant("L23", level="code", task="dhf_1y")
def text_cache_has_a_short_key(site: Site, rng: np.random.Generator) -> None:
    """Texts come from a cache whose key is age, sex and rough length, so that some get another person's."""
    known: dict[tuple[str, int, str], str] = {}

    def cached(record: Record, kept: Sequence[Event], form: str) -> str:
        key = (record.head, len(kept) // 10, form)
        if key not in known:
            known[key] = serialize.serialize(record, kept, form)
        return known[key]

    site.code["ml.inputs.text.serialize"] = cached
    site.rebuild("examples")


@plant("L24", level="code", task="long_los")
def last_stay_of_each_person_tunes(site: Site, rng: np.random.Generator) -> None:
    """Arms choose on the last stays of the very persons whose earlier stays they are fitted on."""

    def show(view: View, examples: pd.DataFrame, run: Run) -> Shown:
        shown = arm_views.show(view, examples, run)
        learnt = examples.assign(place_in_view=np.arange(len(examples)))
        learnt = learnt[learnt["split"] != "held_out"].sort_values("index_date")
        last = learnt.drop_duplicates("person_id", keep="last")["place_in_view"].to_numpy()
        several = learnt[learnt.duplicated("person_id", keep=False)]["place_in_view"].to_numpy()
        shown.may_select = np.isin(np.arange(len(examples)), np.intersect1d(last, several))
        shown.may_fit = (shown.split != "held_out") & ~shown.may_select
        return shown

    site.code["ml.arm.show"] = show
    site.rebuild("views")
