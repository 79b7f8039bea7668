"""`[[input]]` tables are read strictly; built-in views keep their names."""

import pytest

from ml.inputs.serialize import FORMATS
from ml.inputs.view import (
    BUILT_IN_VIEWS,
    CountOptions,
    InputView,
    ModelInput,
    SequenceOptions,
    TextOptions,
    read_views,
)
from ml.strict import InputError


def read(**table):
    return read_views([table], where="study.toml")


def test_without_tables_there_are_the_built_in_views():
    views = read_views([], where="study.toml")
    assert views == BUILT_IN_VIEWS
    assert {name: view.kind for name, view in views.items()} == {
        "none": "none", "counts": "counts", "text": "text", "sequence": "sequence",
        "utilisation": "counts", "calendar": "counts", "order_without_values": "counts",
    }  # fmt: skip


def test_a_table_of_each_kind_is_read():
    given = [
        {"name": "md", "kind": "text", "format": "markdown", "level": "DMP", "look_back_days": 365,
         "instruction": "task"},
        {"name": "codes", "kind": "sequence", "value_bins": 5},
        {"name": "wide", "kind": "counts", "windows_days": [30, 180], "ancestors": False},
    ]  # fmt: skip
    views = read_views(given, where="study.toml")
    assert views["md"] == InputView("md", "text", TextOptions("markdown", "DMP", 365, "task"))
    assert views["codes"] == InputView("codes", "sequence", SequenceOptions(value_bins=5))
    assert views["wide"].options == CountOptions(windows_days=(30, 180), ancestors=False)
    assert set(views) == {*BUILT_IN_VIEWS, "md", "codes", "wide"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "text"}, r"Missing key `name` in \[\[input\]\] number 1 of study\.toml"),
        ({"name": "x"}, r"Wrong value None for `kind` .*Allowed: counts, sequence, text"),
        ({"name": "x", "kind": "txt"}, r"did you mean `text`\?"),
        ({"name": "x", "kind": "text", "windows_days": [1]}, "Unknown key `windows_days`"),
        ({"name": "x", "kind": "counts", "format": "markdown"}, "Unknown key `format`"),
        ({"name": "x", "kind": "text", "format": "mardown"}, r"did you mean `markdown`\?"),
        ({"name": "x", "kind": "text", "level": "d"}, "Wrong value 'd' for `level`"),
        ({"name": "x", "kind": "text", "instruction": "yes"}, "Wrong value 'yes' for `instruction`"),
        ({"name": "x", "kind": "text", "look_back_days": 0}, "`look_back_days` .*Allowed: 1 or more"),
        ({"name": "x", "kind": "text", "look_back_days": True}, "int is needed"),
        ({"name": "x", "kind": "sequence", "value_bins": 1}, "`value_bins` .*Allowed: 2 to 100"),
        ({"name": "x", "kind": "sequence", "max_events": 0}, "`max_events`"),
        ({"name": "x", "kind": "counts", "windows_days": []}, "`windows_days` .*rising"),
        ({"name": "x", "kind": "counts", "windows_days": [30, 30]}, "`windows_days` .*rising"),
        ({"name": "x", "kind": "counts", "windows_days": [0, 30]}, "`windows_days` .*rising"),
        ({"name": "counts", "kind": "counts"}, "`counts` stands twice in study.toml and is built in"),
    ],
)
def test_a_wrong_table_is_refused_with_what_is_allowed(table, message):
    with pytest.raises(InputError, match=message):
        read(**table)


def test_a_name_that_stands_twice_is_refused():
    one = {"name": "x", "kind": "text"}
    with pytest.raises(InputError, match=r"Input `x` stands twice in study\.toml$"):
        read_views([one, one], where="study.toml")


def test_a_text_is_cut_where_its_oldest_events_stand():
    sides = {form: TextOptions(form).truncation_side for form in FORMATS}
    assert sides == {
        "concat": "left",
        "list_recent": "right",
        "list_recent_freq": "right",
        "markdown": "right",
    }


def test_inputs_have_names_of_their_own():
    text = BUILT_IN_VIEWS["text"]
    inputs = [
        ModelInput(BUILT_IN_VIEWS["counts"]),
        ModelInput(BUILT_IN_VIEWS["sequence"]),
        ModelInput(text, "minilm", 128),
        ModelInput(text, "minilm", 256),
        ModelInput(text, "minilm", 128, embedded=True),
    ]
    assert len({shown.name for shown in inputs}) == len(inputs)
    assert inputs[4].text == inputs[2]
