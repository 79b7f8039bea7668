"""The tables that cross a stage: their columns and kinds, checked where they are handed over."""

import pandas as pd

# Kinds of numpy: i whole number, f float, O text (pandas `str` included), n whole number or null.
SCHEMAS: dict[str, dict[str, str]] = {
    "example": {
        "example_id": "O",
        "person_id": "i",
        "index_date": "M",
        "split": "O",
        "y_true": "n",
        "age": "n",
        "sex": "O",
        "n_events": "i",
    },
    "predictions": {
        "example_id": "O",
        "person_id": "i",
        "split": "O",
        "y_true": "i",
        "y_score": "f",
        "y_score_raw": "f",
        "seed": "i",
        "k": "n",
        "draw": "n",
    },
}
SPLITS = ("train", "tuning", "held_out")


class SchemaError(ValueError):
    """A table lacks a column, has one too many, or one of another kind."""


def check(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return `frame` if it is exactly the table of that name.

    Raises:
        SchemaError: which column, what it is and what it must be; no value is shown.
    """
    expected = SCHEMAS[table]
    if list(frame.columns) != list(expected):
        missing, unknown = set(expected) - set(frame.columns), set(frame.columns) - set(expected)
        raise SchemaError(
            f"Table `{table}` has other columns or another order than its schema; missing: "
            f"{sorted(missing) or 'none'}, unknown: {sorted(unknown) or 'none'}"
        )
    for column, kind in expected.items():
        if not _is_kind(frame[column], kind):
            raise SchemaError(
                f"Column `{column}` of table `{table}` is {frame[column].dtype}, not of kind {kind}"
            )
        if kind in "if" and frame[column].isna().any():
            raise SchemaError(
                f"Column `{column}` of table `{table}` has {int(frame[column].isna().sum())} nulls"
            )
    return frame


def _is_kind(column: pd.Series, kind: str) -> bool:
    if kind == "O":
        return pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column)
    if kind == "n":
        return pd.api.types.is_integer_dtype(column) and pd.api.types.is_extension_array_dtype(column)
    if kind == "i":
        return pd.api.types.is_integer_dtype(column)
    if kind == "f":
        return pd.api.types.is_float_dtype(column)
    return pd.api.types.is_datetime64_any_dtype(column)
