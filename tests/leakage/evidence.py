"""Whether a plant did what it says: a count by a direct query, on the clean site and on the planted one.

The queries stand in `evidence.toml`, those of the other sets in `evidence_second.toml` and
`evidence_third.toml`.

    cd tests && PYTHONPATH=.. python -m leakage.evidence 4000 1 [names]
"""

import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from leakage import pipeline
from leakage.plants import Plant
from leakage.sets import plant_named, sets
from leakage.site import Site, Sites

FOUND: dict[str, str] = {
    name: query
    for file in ("evidence.toml", "evidence_second.toml", "evidence_third.toml")
    for name, query in tomllib.loads(Path(__file__).with_name(file).read_text(encoding="utf-8")).items()
}
# What no stored row shows, only what the planted code does: the log, bins, and scores that agree too well.
BY_SCORES = (
    "L27_bins_fitted_on_all",
    "L28_boosting_stops_on_held_out",
    "L28_held_out_read_again_and_again",
    "L38_held_out_labels_fitted_in_silence",
    "L38_chosen_by_held_out_in_silence",
)


def found(site: Site, plant: Plant) -> int:
    """Return how many rows of a site show what the plant says; to be compared with the clean site."""
    query = FOUND[plant.name].format(task=plant.task)
    rows = site.rows(query, **_tables(site, plant.task, query))
    return 0 if rows.empty else int(rows.to_numpy()[0, 0])


def _tables(site: Site, task: str, query: str) -> dict[str, pd.DataFrame]:
    views = {"counts": pipeline.COUNTS, "text": pipeline.TEXT, "sequence": pipeline.SEQUENCE}
    folders = {"cut": site.examples(task)}
    folders |= {kind: pipeline.view(site.root, task, view) for kind, view in views.items()}
    files = {
        f"{kind}_{file.stem}": file for kind, folder in folders.items() for file in folder.glob("*.parquet")
    }
    for arm in pipeline.ARMS:
        files[f"{arm}_predictions"] = site.predictions(task, arm)
        files[f"{arm}_fit_log"] = site.root / "fitted" / task / arm / "fit_log.parquet"
    return {name: pd.read_parquet(file) for name, file in files.items() if name in query}


def main(persons: int, seed: int, names: list[str]) -> int:
    """Plant every leak in a site and print what it left and what an arm gains; return how many left
    nothing.
    """
    sites = Sites()
    clean, left_nothing = sites.clean(seed, persons), 0
    for name in names or sorted(sets()):
        plant = plant_named(name)
        site = sites.copy(seed, persons, [plant.task])
        plant(site, np.random.default_rng(seed))
        words = [gain(clean, site, plant, arm) for arm in pipeline.ARMS]
        if name in FOUND:
            counts = found(clean, plant), found(site, plant)
            left_nothing += counts[1] <= counts[0]
            words.append(f"rows that show it {counts[0]} -> {counts[1]}")
        sys.stdout.write(f"{name}: {'; '.join(words)}\n")
        sites.forget(site)
    sites.close()
    return left_nothing


def gain(clean: Site, planted: Site, plant: Plant, arm: str) -> str:
    """Return the held-out AUROC of an arm without and with a leak, in words."""
    scores = [site.auroc(plant.task, arm) for site in (clean, planted)]
    return f"{arm} " + " -> ".join("refused" if one is None else f"{one:.3f}" for one in scores)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
