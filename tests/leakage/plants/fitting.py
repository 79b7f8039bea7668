"""L27, L28 and L38: fitted or chosen on persons who are judged."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from leakage.plants.plant import plant
from leakage.site import Site
from ml import arm_views
from ml.adaptation.shown import Shown
from ml.inputs import columns, count, sequence

TRAIN = "example.split = 'train'"


@plant("L27", level="code", task="dhf_1y")
def count_columns_fitted_on_all(site: Site, rng: np.random.Generator) -> None:
    """The vocabulary and the columns of the count features are those of every split."""
    site.code["ml.inputs.count.VOCABULARY"] = count.VOCABULARY.replace(TRAIN, "true")
    site.code["ml.inputs.columns.CANDIDATE"] = columns.CANDIDATE.replace(TRAIN, "true")
    site.rebuild("examples")


@plant("L27", level="code", task="long_los")
def bins_fitted_on_all(site: Site, rng: np.random.Generator) -> None:
    """The bins of the sequences' values are quantiles of every split."""
    assert sequence.EDGES.count(TRAIN) == 1
    site.code["ml.inputs.sequence.EDGES"] = sequence.EDGES.replace(TRAIN, "true")
    site.rebuild("examples")


def _may(site: Site, fit: tuple[str, ...], select: tuple[str, ...]) -> None:
    """Let arms fit and choose on other splits than they should, by the flags that everything trusts."""
    show = arm_views.show

    def shown(view: Any, examples: pd.DataFrame, run: Any) -> Shown:
        own = show(view, examples, run)
        may_fit, may_select = np.isin(own.split, fit), np.isin(own.split, select)
        y_true = examples["y_true"].to_numpy(dtype=np.float64)
        same = {
            name: getattr(own, name) for name in ("split", "person_id", "place", "matrix", "blocks", "texts")
        }
        return Shown.of(y_true, may_fit=may_fit, may_select=may_select, **same)

    site.code["ml.arm.show"] = shown
    site.rebuild("views")


@plant("L27", level="code", task="dhf_1y", hurts=True)
def arms_fitted_on_held_out_too(site: Site, rng: np.random.Generator) -> None:
    """Arms fit on train and held-out."""
    _may(site, ("train", "held_out"), ("tuning",))


@plant("L27", level="data", task="gi_bleed_1y")
def fit_log_names_a_few_of_held_out(site: Site, rng: np.random.Generator) -> None:
    """Three persons of held-out stand in the log of who was read to fit one arm."""
    rows = site.labelled("gi_bleed_1y")
    held_out = rows[rows["split"] == "held_out"]["person_id"].to_numpy()
    chosen = pd.DataFrame({"person_id": rng.permutation(held_out)[:3]})
    site.rewrite(
        "fitted/gi_bleed_1y/count_gbm/fit_log.parquet",
        "select * from this union all by name select 'fit' as purpose, person_id, (select min(run)"
        " from this) as"
        " run from chosen",
        chosen=chosen,
    )


@plant("L28", level="code", task="dhf_1y")
def chosen_on_held_out(site: Site, rng: np.random.Generator) -> None:
    """Configuration, stopping and recalibration are chosen on held-out."""
    _may(site, ("train",), ("held_out",))


@plant("L28", level="code", task="paca_1y")
def chosen_on_tuning_and_held_out(site: Site, rng: np.random.Generator) -> None:
    """Configuration, stopping and recalibration are chosen on tuning with held-out joined to it."""
    _may(site, ("train",), ("tuning", "held_out"))


@plant("L28", level="data", task="dhf_1y")
def held_out_read_again_and_again(site: Site, rng: np.random.Generator) -> None:
    """The log of readings says that one protocol scored held-out six times, each time with other code."""
    rows = [
        {
            "at": f"2026-11-{10 + n}T09:00:00Z",
            "study_sha256": "a" * 64,
            "snapshot": "b" * 16,
            "task": "dhf_1y",
            "arm": "count_gbm",
            "code": f"{n:x}" * 64,
            "run_id": f"run-{n}",
        }
        for n in range(6)
    ]
    text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    (site.root / "held_out_log.jsonl").write_text(text, encoding="utf-8")


@plant("L38", level="code", task="dhf_1y", hurts=True)
def noise_chosen_by_all_labels(site: Site, rng: np.random.Generator) -> None:
    """Twenty of 1,500 columns of noise, the ones closest to the labels of every split, join the count
    features.
    """
    site.code["ml.inputs.count.fit_columns"] = _with_noise(columns.fit_columns)
    site.rebuild("examples")


@plant("L38", level="code", task="paca_1y", hurts=True)
def columns_chosen_by_all_labels(site: Site, rng: np.random.Generator) -> None:
    """Of the count columns the fifty closest to the labels of every split are kept."""
    fit_columns = columns.fit_columns

    def fitted(connection: Any, ancestor: str) -> None:
        fit_columns(connection, ancestor)
        _keep_closest(connection, _labels(ancestor), 50)

    site.code["ml.inputs.count.fit_columns"] = fitted
    site.rebuild("examples")


def _labels(ancestor: str) -> str:
    return ancestor.replace("ancestor.parquet", "example.parquet")


def _keep_closest(connection: Any, example: str, n: int) -> None:
    connection.execute(
        "create temp table closest as select feature, coalesce(abs(corr(coalesce(value, 0),"
        " y_true)), 0) as r from"
        f" (select example_id, y_true from read_parquet('{example}') where y_true is not null) cross"
        f" join feature"
        f" left join long using (example_id, feature) group by feature order by r desc, feature limit {n}"
    )
    connection.execute(
        "create or replace temp table feature as select (row_number() over (order by feature) -"
        " 1)::integer as"
        " place, feature, stands_for from feature where feature in (select feature from closest)"
    )


def _with_noise(fit_columns: Callable[..., None]) -> Callable[..., None]:
    def fitted(connection: Any, ancestor: str) -> None:
        connection.execute(
            "create temp table noise as select example_id, 'days_with/' || (3000000000 + n) ||"
            " '/365' as feature,"
            " (hash(example_id || '/' || n) % 1000 / 1000.0)::double as value from example cross join"
            " range(1500) as numbers(n)"
        )
        connection.execute(
            "create temp table closest as select feature from noise inner join"
            f" read_parquet('{_labels(ancestor)}') as labelled using (example_id) where y_true is not null"
            " group by feature order by abs(corr(value, y_true)) desc, feature limit 20"
        )
        connection.execute(
            "insert into long select example_id, feature, value from noise semi join closest using (feature)"
        )
        fit_columns(connection, ancestor)

    return fitted


@plant("L38", level="code", task="gi_bleed_1y", hurts=True)
def held_out_labels_fitted_in_silence(site: Site, rng: np.random.Generator) -> None:
    """What an arm fits on holds held-out labels, and the log of who was read does not."""

    def of(y_true: np.ndarray, **what: Any) -> Shown:
        return Shown(**what, _y_true=y_true)

    def fit_rows(self: Shown) -> np.ndarray:
        return np.flatnonzero(self.may_fit | (self.split == "held_out"))

    def remember(self: Shown, rows: np.ndarray, purpose: str) -> None:
        allowed = self.may_fit if purpose == "fit" else self.may_select
        mine = np.zeros(len(self), dtype=bool)
        mine[rows] = True
        self.used[purpose] = self.used.get(purpose, np.zeros(len(self), dtype=bool)) | (mine & allowed)

    site.code["ml.adaptation.shown.Shown.of"] = of
    site.code["ml.adaptation.shown.Shown.fit_rows"] = property(fit_rows)
    site.code["ml.adaptation.shown.Shown._remember"] = remember
    site.rebuild("views")


@plant("L38", level="code", task="dhf_1y")
def chosen_by_held_out_in_silence(site: Site, rng: np.random.Generator) -> None:
    """Configuration and stopping read held-out labels, and the log says tuning."""

    def of(y_true: np.ndarray, **what: Any) -> Shown:
        return Shown(**what, _y_true=y_true)

    def tuning_rows(self: Shown) -> np.ndarray:
        return np.flatnonzero(self.split == "held_out")

    def remember(self: Shown, rows: np.ndarray, purpose: str) -> None:
        self.used[purpose] = (self.may_fit if purpose == "fit" else self.may_select).copy()

    site.code["ml.adaptation.shown.Shown.of"] = of
    site.code["ml.adaptation.shown.Shown.tuning_rows"] = property(tuning_rows)
    site.code["ml.adaptation.shown.Shown._remember"] = remember
    site.rebuild("views")
