"""What is fitted and chosen with rows or labels that it must not see."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from leakage.plants.plant import plant
from leakage.plants_second.count_columns import add_column
from leakage.plants_second.source_rows import file_of
from leakage.plants_third.local_rows import NT_PRO_BNP
from leakage.site import Site
from ml.adaptation import heads
from ml.arm_views import show
from ml.inputs import count

TRIES = 12
# Concepts that differ between cases and others among all labelled rows, by a test of two shares.
SCREENED = """
create temp table vocabulary as
with
seen as (
    select distinct feature_event.concept_id, example.example_id, example.split, example.y_true
    from feature_event
    inner join example on feature_event.example_id = example.example_id
),
counted as (
    select
        concept_id,
        count(*) filter (where split = 'train') as n_train,
        count(*) filter (where y_true = 1) as n_cases,
        count(*) filter (where y_true = 0) as n_others
    from seen
    group by concept_id
),
total as (
    select
        count(*) filter (where y_true = 1)::double as cases,
        count(*) filter (where y_true = 0)::double as others
    from example
)
select counted.concept_id
from counted
cross join total
where
    n_train >= $min_train_examples
    and abs(n_cases / cases - n_others / others)
    > 1.7 * sqrt(greatest((n_cases + n_others) / (cases + others) * (1 / cases + 1 / others), 1e-12))
"""


@plant("L24", level="code", task="long_los")
def tuning_rows_drawn_by_row(site: Site, _: np.random.Generator) -> None:
    """The rows that choose and stop are drawn again at random from train and tuning together, row by row, so
    stays of one person lie on both sides.
    """

    def show_by_row(view: Any, examples: pd.DataFrame, run: Any) -> Any:
        shown = show(view, examples, run)
        known = shown.may_fit | shown.may_select
        chosen = np.random.default_rng(run.seed).random(len(shown)) < 0.15
        shown.may_fit, shown.may_select = known & ~chosen, known & chosen
        return shown

    site.code["ml.arm.show"] = show_by_row
    site.rebuild("views")


@plant("L27", level="code", task="gi_bleed_1y")
def rare_codes_counted_over_all_rows(site: Site, _: np.random.Generator) -> None:
    """Which codes are common enough to be a column is counted on all rows, held-out among them."""
    everybody = count.VOCABULARY.replace("where example.split = 'train'\n", "")
    assert everybody != count.VOCABULARY
    site.code["ml.inputs.count.VOCABULARY"] = everybody
    site.rebuild("examples")


@plant("L27", level="data", task="dhf_1y")
def values_ranked_in_the_warehouse(site: Site, _: np.random.Generator) -> None:
    """The warehouse keeps laboratory values as percentiles among all results of all persons and years, so
    each value is scaled by held-out persons and by days to come.
    """
    site.rewrite(
        file_of("measurement"),
        "select * replace (case when value_as_number is not null then round(100 * percent_rank() over"
        " (partition by measurement_concept_id order by value_as_number nulls last), 2) end as"
        " value_as_number) from this order by measurement_id",
    )
    site.rebuild("source")


@plant("L27", level="data", task="dhf_1y", hurts=True)
def target_encoding_over_all_rows(site: Site, _: np.random.Generator) -> None:
    """A category of many values (last diagnosis, sex and age) is encoded by its share of cases among all
    rows, each row's own label and those of held-out among them.
    """
    folder = site.examples("dhf_1y")
    event = pd.read_parquet(folder / "event.parquet")
    last = event[event["domain"] == "Condition"].drop_duplicates("example_id", keep="last")
    example = pd.read_parquet(folder / "example.parquet").dropna(subset=["y_true"])
    example = example.merge(last[["example_id", "concept_id"]], on="example_id", how="left")
    example["concept_id"] = example["concept_id"].fillna(0)
    example["decade"] = example["age"] // 10
    by = example.groupby(["concept_id", "sex", "decade"])["y_true"]
    prior = example["y_true"].mean()
    encoded = (by.transform("sum") + 2 * prior) / (by.transform("count") + 2)
    values = dict(zip(example["example_id"], encoded.astype(float).round(4), strict=True))
    add_column(site, "dhf_1y", "encoded/last_diagnosis_sex_age", values)
    site.rebuild("views")


@plant("L28", level="code", task="gi_bleed_1y", hurts=True)
def best_of_many_draws_on_held_out(site: Site, _: np.random.Generator) -> None:
    """The same model is fitted on a dozen random draws of train and the one that does best in held-out is
    reported, with nothing written down of the others.
    """
    truth: dict[str, np.ndarray] = {}

    def show_and_keep(view: Any, examples: pd.DataFrame, run: Any) -> Any:
        truth["y_true"] = examples["y_true"].to_numpy(dtype=float)
        return show(view, examples, run)

    def choose_by_held_out(family: str, shown: Any, setting: Any) -> Any:
        outside, y_true = shown.split == "held_out", truth["y_true"]
        chosen, best = shown.may_fit, -1.0
        for number in range(TRIES):
            drawn = np.random.default_rng(number).random(len(shown)) < 0.75
            few = shown.may_fit & (drawn | (number == 0))
            adapted = heads.choose(family, dataclasses.replace(shown, may_fit=few, used={}), setting)
            score = float(roc_auc_score(y_true[outside], adapted.y_score_raw[outside]))
            if score > best:
                chosen, best = few, score
        kept = dataclasses.replace(shown, may_fit=chosen)
        return heads.choose(family, kept, setting)

    site.code["ml.arm.show"] = show_and_keep
    site.code["ml.adaptation.regimes.choose"] = choose_by_held_out
    site.rebuild("views")


@plant("L38", level="code", task="paca_1y", hurts=True)
def codes_screened_on_all_labels(site: Site, _: np.random.Generator) -> None:
    """Codes are kept as columns where cases and others differ among all labelled rows, held-out among them,
    and the model is fitted afterwards on what passed.
    """
    known = count.EXAMPLE.replace("    split,\n", "    split,\n    y_true,\n")
    assert known != count.EXAMPLE
    site.code["ml.inputs.count.EXAMPLE"] = known
    site.code["ml.inputs.count.VOCABULARY"] = SCREENED
    site.rebuild("examples")


@plant("L38", level="data", task="dhf_1y", hurts=True)
def imputation_model_knew_the_outcome(site: Site, rng: np.random.Generator) -> None:
    """Missing laboratory values were imputed before the split by a model with the outcome among its
    predictors, so what stands in for a value is drawn around the mean of its class.
    """
    rows = site.labelled("dhf_1y")
    latest = site.rows(
        "select label.example_id, arg_max(value_as_number, (measurement_date, measurement_id)) as value from"
        f" label inner join cdm_measurement using (person_id) where measurement_concept_id = {NT_PRO_BNP} and"
        " measurement_date < index_date and value_as_number > 0 and task = 'dhf_1y'"
        " group by label.example_id order by label.example_id"
    ).set_index("example_id")["value"]
    means = np.where(rows["y_true"] == 1, 5.7, 4.6)
    drawn = np.exp(means + rng.normal(0, 0.8, len(rows)))
    value = rows["example_id"].map(latest).fillna(pd.Series(drawn, index=rows.index)).round(1)
    shown = set(pd.read_parquet(site.examples("dhf_1y") / "example.parquet")["example_id"])
    values = {name: one for name, one in zip(rows["example_id"], value, strict=True) if name in shown}
    add_column(site, "dhf_1y", "imputed/nt_pro_bnp", values)
    site.rebuild("views")
