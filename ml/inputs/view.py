"""Input views: what an arm is shown, by name; built in, or as `[[input]]` tables of a study."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ml.strict import InputError, read_fields, wrong

# Diagnoses; with drugs and procedures; everything recorded (an empty tuple lets every domain pass).
LEVELS: dict[str, tuple[str, ...]] = {
    "D": ("Condition",),
    "DMP": ("Condition", "Drug", "Procedure"),
    "ALL": (),
}
Level = Literal["D", "DMP", "ALL"]
# Tokens of a text with its instruction; a study gives 128 or more, quick runs of the machinery fewer.
SHORTEST_CONTEXT, LONGEST_CONTEXT = 16, 8192


@dataclass(frozen=True)
class TextOptions:
    """How a record becomes words; `look_back_days` counts from the index, None reads the whole record."""

    format: Literal["concat", "list_recent", "list_recent_freq", "markdown"] = "list_recent_freq"
    level: Level = "ALL"
    look_back_days: int | None = None
    instruction: Literal["task", "neutral", "none"] = "none"

    @property
    def truncation_side(self) -> Literal["left", "right"]:
        """The end of a text where its oldest events stand: what a context that is too short must cut."""
        return "left" if self.format == "concat" else "right"


@dataclass(frozen=True)
class SequenceOptions:
    """How a record becomes codes: the newest `max_events`, `value_bins` bins a measured concept."""

    level: Level = "ALL"
    look_back_days: int | None = None
    max_events: int = 512
    value_bins: int = 10
    min_train_examples: int = 5


@dataclass(frozen=True)
class CountOptions:
    """How a record becomes counts; each window reaches back so many days from the index.

    `counted`: codes with age, sex and values; or a shortcut alone, to which only level and days apply.
    """

    level: Level = "ALL"
    look_back_days: int | None = None
    windows_days: tuple[int, ...] = (30, 365, 36_525)
    ancestors: bool = True
    latest_values: bool = True
    min_train_examples: int = 5
    counted: Literal["codes", "utilisation", "calendar"] = "codes"


Options = TextOptions | SequenceOptions | CountOptions
OPTIONS: dict[str, type[Options]] = {"text": TextOptions, "sequence": SequenceOptions, "counts": CountOptions}


@dataclass(frozen=True)
class InputView:
    """A named way to show a record; `none` shows nothing and has no options."""

    name: str
    kind: Literal["none", "text", "sequence", "counts"]
    options: Options | None = None


BUILT_IN_VIEWS = {
    "none": InputView("none", "none"),
    "counts": InputView("counts", "counts", CountOptions()),
    "text": InputView("text", "text", TextOptions()),
    "sequence": InputView("sequence", "sequence", SequenceOptions()),
    # Shortcuts: what they reach, a model has not from what was found.
    "utilisation": InputView("utilisation", "counts", CountOptions(counted="utilisation")),
    "calendar": InputView("calendar", "counts", CountOptions(counted="calendar")),
    "order_without_values": InputView("order_without_values", "counts", CountOptions(latest_values=False)),
}


def read_views(tables: Iterable[Mapping[str, Any]], *, where: str) -> dict[str, InputView]:
    """Read the `[[input]]` tables of a study; return them by name, with the built-in views.

    Raises:
        InputError: an unknown key or value, an impossible number, or a name that stands twice or is built in.
    """
    views = dict(BUILT_IN_VIEWS)
    for n, table in enumerate(tables, start=1):
        view = _read_view(table, f"[[input]] number {n} of {where}")
        if view.name in views:
            built_in = " and is built in" if view.name in BUILT_IN_VIEWS else ""
            raise InputError(f"Input `{view.name}` stands twice in {where}{built_in}")
        views[view.name] = view
    return views


def _read_view(table: Mapping[str, Any], where: str) -> InputView:
    given = dict(table)
    name, kind = given.pop("name", None), given.pop("kind", None)
    if not isinstance(name, str) or not name:
        raise wrong(f"Missing key `name` in {where}", hint="add `name = ...`")
    if kind not in OPTIONS:
        raise wrong(f"Wrong value {kind!r} for `kind` in {where}", allowed=OPTIONS, given=str(kind))
    options = read_fields(OPTIONS[kind], given, where=where)
    _require_values(options, where)
    return InputView(name, kind, options)


def _require_values(options: Options, where: str) -> None:
    for key in ("look_back_days", "max_events", "min_train_examples"):
        value = getattr(options, key, None)
        if value is not None and value < 1:
            raise InputError(f"Wrong value {value!r} for `{key}` in {where}. Allowed: 1 or more")
    if isinstance(options, SequenceOptions) and not 2 <= options.value_bins <= 100:
        raise InputError(f"Wrong value {options.value_bins!r} for `value_bins` in {where}. Allowed: 2 to 100")
    if isinstance(options, CountOptions):
        windows = options.windows_days
        if not windows or any(days < 1 for days in windows) or list(windows) != sorted(set(windows)):
            raise InputError(
                f"Wrong value {list(windows)!r} for `windows_days` in {where}."
                " Allowed: one or more numbers of days, rising"
            )


@dataclass(frozen=True)
class ModelInput:
    """One artefact that an arm reads: a view and, for texts, whose tokenizer and context cut it.

    `embedded` means the vectors of the model for these texts instead of the texts.
    """

    view: InputView
    model: str | None = None
    max_tokens: int | None = None
    embedded: bool = False

    @property
    def name(self) -> str:
        """Name of the asset and of its folder below the task.

        >>> ModelInput(BUILT_IN_VIEWS["text"], "minilm", 128, embedded=True).name
        'embedding_text_minilm_128'
        """
        if self.view.kind == "text":
            stem = "embedding" if self.embedded else "patient_text"
            return f"{stem}_{self.view.name}_{self.model}_{self.max_tokens}"
        stem = {"counts": "count_features", "sequence": "patient_sequence"}[self.view.kind]
        return f"{stem}_{self.view.name}"

    @property
    def text(self) -> "ModelInput":
        """The texts that an embedding is made from."""
        return ModelInput(self.view, self.model, self.max_tokens)
