"""A column more in a view of counts, written as the view's own writer would have."""

from collections.abc import Mapping

import pandas as pd

from leakage import pipeline
from leakage.site import Site


def add_column(site: Site, task: str, name: str, values: Mapping[str, float]) -> None:
    """Add a column; values by example_id, those left out are 0. Places follow names, hashes follow rows."""
    folder = pipeline.view(site.root, task, pipeline.COUNTS)
    place = str(folder.relative_to(site.root))
    names = pd.read_parquet(folder / "column.parquet")["feature"]
    added = pd.DataFrame({"example_id": list(values), "value": [float(value) for value in values.values()]})
    places = pd.DataFrame({"feature": sorted([*names, name])}).reset_index(names="place")
    old = pd.DataFrame({"old": range(len(names)), "feature": names})
    row = pd.read_parquet(folder / "row.parquet").reset_index(names="row")
    site.rewrite(
        f"{place}/column.parquet",
        "select feature, coalesce(stands_for, []) as stands_for from places left join this using (feature)"
        " order by place",
        places=places,
    )
    site.rewrite(
        f"{place}/value.parquet",
        'select this.row::integer as row, places.place::integer as "column", this.value from this'
        ' inner join old on this."column" = old.old inner join places using (feature)'
        " union all select row.row::integer, places.place::integer, added.value from added"
        f" inner join row using (example_id) inner join places on places.feature = '{name}'"
        ' where added.value <> 0 order by row, "column"',
        places=places,
        old=old,
        row=row,
        added=added,
    )
    value = pd.read_parquet(folder / "value.parquet")
    site.rewrite(
        f"{place}/shown.parquet",
        "select this.* replace (coalesce(digest.sha256, sha256('')) as sha256) from this"
        " inner join row using (example_id) left join (select value.row, sha256(string_agg("
        "places.feature || '=' || value.value, chr(10) order by places.feature)) as sha256 from value"
        ' inner join places on value."column" = places.place group by value.row) as digest'
        " on row.row = digest.row order by this.example_id",
        places=places,
        row=row,
        value=value,
    )
