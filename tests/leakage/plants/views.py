"""Views of a site changed as stored: columns of count features, texts, sequences, with what is said of
them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from leakage import pipeline
from leakage.site import Site
from ml.artefact import whole_file
from ml.inputs.shown import sha256_text


def add_count_column(
    site: Site, task: str, name: str, example_id: pd.Series, value: pd.Series | np.ndarray
) -> None:
    """Add a column to the count features of a task; examples that are not named have 0. Hashes follow."""
    folder = pipeline.view(site.root, task, pipeline.COUNTS)
    place = f"{folder.relative_to(site.root)}/"
    given = pd.DataFrame({"example_id": example_id.to_numpy(), "value": np.asarray(value, dtype=np.float64)})
    row = pd.read_parquet(folder / "row.parquet").reset_index(names="row")
    cell = row.merge(given[given["value"] != 0], on="example_id")[["row", "value"]]
    old = pd.read_parquet(folder / "column.parquet")["feature"]
    at = int((old < name).sum())  # columns are in order of name
    site.rewrite(
        f"{place}column.parquet",
        f"select feature, stands_for from (select * from this union all select '{name}', []::varchar[])"
        " order by feature",
    )
    site.rewrite(
        f"{place}value.parquet",
        f'select "row", "column" + ("column" >= {at})::integer as "column", value from this union all'
        f' select "row"::integer, {at}::integer, value from cell order by "row", "column"',
        cell=cell,
    )
    hash_counts(site, task)


def hash_counts(site: Site, task: str) -> None:
    """Write again the hash of each row of the count features."""
    folder = pipeline.view(site.root, task, pipeline.COUNTS)
    files = {name: f"'{folder / name}.parquet'" for name in ("row", "column", "value")}
    site.rewrite(
        f"{folder.relative_to(site.root)}/shown.parquet",
        "select this.* replace (coalesce(hashed.sha256, sha256('')) as sha256) from this left join (select"
        " example_id, sha256(string_agg(feature || '=' || value, chr(10) order by feature)) as sha256 from"
        f' (select *, row_number() over () - 1 as "row" from {files["row"]}) inner join {files["value"]}'
        f' using ("row") inner join (select *, row_number() over () - 1 as "column" from {files["column"]})'
        ' using ("column") group by example_id) as hashed using (example_id) order by example_id',
    )


def texts_of(site: Site, task: str) -> pd.DataFrame:
    """Return the stored texts of a task, by example_id, with split and y_true."""
    folder = pipeline.view(site.root, task, pipeline.TEXT)
    text = pd.read_parquet(folder / "text.parquet")
    example = pd.read_parquet(site.examples(task) / "example.parquet")[["example_id", "split", "y_true"]]
    return text.merge(example, on="example_id").sort_values("example_id", ignore_index=True)


def write_texts(site: Site, task: str, changed: dict[str, str]) -> None:
    """Let the texts of some examples be others, and their hashes and token counts with them."""
    folder = pipeline.view(site.root, task, pipeline.TEXT)
    for name, column in (("text", "text_sha256"), ("shown", "sha256")):
        frame = pd.read_parquet(folder / f"{name}.parquet")
        rows = frame["example_id"].isin(list(changed))
        texts = frame.loc[rows, "example_id"].map(changed)
        frame.loc[rows, column] = texts.map(sha256_text)
        if name == "text":
            frame.loc[rows, "text"] = texts
            n_tokens = texts.map(lambda text: len(pipeline.WORD.findall(str(text)))).astype(
                frame["n_tokens"].dtype
            )
            frame.loc[rows, "n_tokens"] = n_tokens
            frame["n_tokens_whole"] = frame[["n_tokens", "n_tokens_whole"]].max(axis=1)
        with whole_file(folder / f"{name}.parquet") as temporary:
            _write(frame, folder / f"{name}.parquet", temporary)


def _write(frame: pd.DataFrame, like: Path, path: Path) -> None:
    schema = pq.read_schema(like)
    pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), path)
