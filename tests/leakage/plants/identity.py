"""L20 to L24: records of the wrong person, and the same person, human or text on both sides of a split."""

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.plants.recorded import some
from leakage.plants.views import texts_of, write_texts
from leakage.site import Site
from ml.inputs import examples

PERSON_TABLES = (
    "observation_period",
    "visit_occurrence",
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "measurement",
    "observation",
    "death",
    "note",
)
CLONED = 1_000_000


@plant("L20", level="data", task="dhf_1y")
def one_row_in_twenty_is_anothers(site: Site, rng: np.random.Generator) -> None:
    """One diagnosis in twenty carries the id of another person, and the visit of its own."""
    _swap(site, "condition_occurrence", 20)
    site.rebuild("source")


@plant("L20", level="data", task="dhf_1y")
def one_value_in_fifty_is_anothers(site: Site, rng: np.random.Generator) -> None:
    """One measurement in fifty carries the id of another person."""
    _swap(site, "measurement", 50)
    site.rebuild("source")


def _swap(site: Site, table: str, one_in: int) -> None:
    site.rewrite(
        f"simulated/cdm/{table}.parquet",
        f"select * replace (if(hash({table}_id) % {one_in} = 0, 1 + (person_id + hash({table}_id, 1) % 1000)"
        f" % (select max(person_id) from cdm_person), person_id)::bigint as person_id) from this",
    )


@plant("L20", level="data", task="long_los")
def pairs_of_persons_are_merged(site: Site, rng: np.random.Generator) -> None:
    """One person in fifty was merged into another by a wrong link: two lives under one id."""
    person = site.rows("select person_id from cdm_person order by person_id")["person_id"].to_numpy()
    pairs = rng.permutation(person)[: 2 * (len(person) // 100)].reshape(-1, 2)
    merged = pd.DataFrame(pairs, columns=pd.Index(["person_id", "into"]))
    for table in PERSON_TABLES:
        site.rewrite(
            f"simulated/cdm/{table}.parquet",
            'select this.* replace (coalesce("into", person_id)::bigint as person_id) from this'
            " left join merged using (person_id)",
            merged=merged,
        )
    site.rewrite(
        "simulated/cdm/person.parquet",
        "select * from this where person_id not in (select person_id from merged)",
        merged=merged,
    )
    site.rebuild("source")


@plant("L21", level="data", task="dhf_1y")
def sixty_persons_in_two_splits(site: Site, rng: np.random.Generator) -> None:
    """Sixty persons of train stand in held-out as well."""
    rows = site.labelled("dhf_1y")
    train = rows[rows["split"] == "train"]
    chosen = some(train, min(1.0, 60 / len(train)), rng)[["person_id"]]
    site.rewrite(
        "published/split.parquet",
        "select * from this union all select person_id, 'held_out' from chosen order by person_id, split",
        chosen=chosen,
    )
    site.rebuild("published")


@plant("L21", level="code", task="long_los")
def split_by_example(site: Site, rng: np.random.Generator) -> None:
    """The split is by example, so that a person's stays lie in all of them."""
    _split(site, "case when hash(cohort.example_id) % 10 < 6 then 'train'"
           " when hash(cohort.example_id) % 10 = 6 then 'tuning' else 'held_out' end as split")  # fmt: skip


@plant("L21", level="data", task="long_los")
def five_persons_in_two_splits(site: Site, rng: np.random.Generator) -> None:
    """Five persons with several stays have one of them in another split, in the cut alone."""
    file = site.examples("long_los") / "example.parquet"
    table = pd.read_parquet(file).sort_values("example_id")
    several = table[(table["split"] == "train") & table.duplicated("person_id")]
    chosen = some(several.drop_duplicates("person_id"), 5 / several["person_id"].nunique(), rng)
    site.rewrite(
        str(file.relative_to(site.root)),
        "select * replace (if(example_id in (select example_id from chosen), 'held_out', split) as split)"
        " from this order by example_id",
        chosen=chosen[["example_id"]],
    )
    site.rebuild("examples")


@plant("L24", level="code", task="long_los")
def tuning_drawn_by_example(site: Site, rng: np.random.Generator) -> None:
    """Train and tuning are divided by example and not by person, as plain folds would; held-out stays
    whole.
    """
    _split(site, "case when split.split = 'held_out' then 'held_out' when hash(cohort.example_id) % 7 = 0"
           " then 'tuning' else 'train' end as split")  # fmt: skip


def _split(site: Site, rule: str) -> None:
    assert examples.EXAMPLE.count("split.split,") == 1
    site.code["ml.inputs.examples.EXAMPLE"] = examples.EXAMPLE.replace("split.split,", f"{rule},")
    site.rebuild("published")


@plant("L22", level="data", task="dhf_1y", hurts=True)
def persons_cloned(site: Site, rng: np.random.Generator) -> None:
    """One example in three is of a human who is in the source a second time, under another id."""
    _clone(site, "dhf_1y", 0.33, rng)


@plant("L22", level="data", task="gi_bleed_1y", hurts=True)
def persons_cloned_with_shifted_dates(site: Site, rng: np.random.Generator) -> None:
    """One example in three is of a human who is there twice, all dates 41 days later and one row in ten
    lost.
    """
    _clone(site, "gi_bleed_1y", 0.33, rng, shift=41, lost=10)


@plant("L22", level="data", task="paca_1y")
def twenty_persons_cloned(site: Site, rng: np.random.Generator) -> None:
    """Twenty persons are in the source a second time, under another id."""
    _clone(site, "paca_1y", 20 / len(site.labelled("paca_1y")), rng)


def _clone(
    site: Site, task: str, share: float, rng: np.random.Generator, *, shift: int = 0, lost: int = 0
) -> None:
    chosen = some(site.labelled(task).drop_duplicates("person_id"), share, rng)[["person_id"]]
    for table in ("person", *PERSON_TABLES):
        columns = site.rows(f"describe cdm_{table}")
        key = f"{table}_id"
        changed = [f"person_id + {CLONED} as person_id"]
        changed += (
            [f"{key} + {CLONED * 10} as {key}"] if key in set(columns["column_name"]) - {"person_id"} else []
        )
        if "visit_occurrence_id" in set(columns["column_name"]) and table != "visit_occurrence":
            changed.append(f"visit_occurrence_id + {CLONED * 10} as visit_occurrence_id")
        dates = columns[columns["column_type"] == "DATE"]["column_name"]
        changed += [f"({name} + {shift})::date as {name}" for name in dates] if shift else []
        kept = f" and hash({key}) % {lost} > 0" if lost and table in PERSON_TABLES[2:7] else ""
        site.rewrite(
            f"simulated/cdm/{table}.parquet",
            f"select * from this union all select * replace ({', '.join(changed)}) from this"
            f" where person_id in (select person_id from chosen){kept}",
            chosen=chosen,
        )
    site.rebuild("source")


@plant("L23", level="data", task="paca_1y")
def texts_copied_into_held_out(site: Site, rng: np.random.Generator) -> None:
    """Forty held-out texts are those of train examples of the same class."""
    _copy_texts(site, "paca_1y", rng, lambda text: text)


@plant("L23", level="data", task="dhf_1y")
def texts_nearly_copied_into_held_out(site: Site, rng: np.random.Generator) -> None:
    """Forty held-out texts are those of train examples, but for their first line and one item."""

    def altered(text: str) -> str:
        head, *items = text.split("\n")
        kept = [item for n, item in enumerate(items) if n != len(items) // 2]
        return "\n".join(["70-year-old" + head[head.index(" ") :], *kept])

    _copy_texts(site, "dhf_1y", rng, altered)


def _copy_texts(site: Site, task: str, rng: np.random.Generator, altered) -> None:
    table = texts_of(site, task)
    table = table[table["y_true"].notna()]
    long = table[table["text"].str.count("\n") >= 12]
    changed = {}
    for y_true, n in ((1, 10), (0, 30)):
        givers = long[(long["split"] == "train") & (long["y_true"] == y_true)]
        takers = table[(table["split"] == "held_out") & (table["y_true"] == y_true)]
        n = min(n, len(givers), len(takers))
        texts = givers["text"].iloc[rng.permutation(len(givers))[:n]]
        for example_id, text in zip(
            takers["example_id"].iloc[rng.permutation(len(takers))[:n]], texts, strict=True
        ):
            changed[example_id] = altered(text)
    write_texts(site, task, changed)


@plant("L23", level="data", task="gi_bleed_1y")
def records_from_one_template(site: Site, rng: np.random.Generator) -> None:
    """One in ten held-out examples shows the events of a train example, copied into its cut and views."""
    example = pd.read_parquet(site.examples("gi_bleed_1y") / "example.parquet").sort_values("example_id")
    example = example[example["y_true"].notna()]
    takers = some(example[example["split"] == "held_out"], 0.1, rng)
    pool = example[(example["split"] == "train") & (example["n_events"] >= 15)]
    givers = pool.iloc[rng.permutation(len(pool))[: len(takers)]]
    pair = pd.DataFrame(
        {"taker": takers["example_id"].to_numpy()[: len(givers)], "giver": givers["example_id"].to_numpy()}
    )
    place = f"{site.examples('gi_bleed_1y').relative_to(site.root)}"
    site.rewrite(
        f"{place}/event.parquet",
        "select * exclude (n) from (select *, row_number() over () as n from this where example_id"
        " not in (select"
        " taker from pair) union all select this.* replace (taker as example_id), row_number() over"
        " () as n from"
        " this inner join pair on example_id = giver) order by example_id, n",
        pair=pair,
    )
    site.rewrite(
        f"{place}/example.parquet",
        "select this.* replace (coalesce(g.n_events, this.n_events) as n_events) from this left join pair on"
        " this.example_id = taker left join this as g on g.example_id = giver order by this.example_id",
        pair=pair,
    )
    site.rebuild("examples")
