"""What an arm needs, as plain values: it travels as JSON to the process that does the work."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# What shapes scores and fitted models; part of every key.
LIBRARIES = (
    "lightgbm",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "skops",
    "tokenizers",
    "torch",
    "transformers",
)


@dataclass(frozen=True)
class ViewSpec:
    """An input of an arm: a folder of counts or texts, or the index of vectors with their store."""

    kind: Literal["counts", "text", "vectors"]
    path: str
    store: str | None = None


@dataclass(frozen=True)
class ArmSpec:
    """One arm on one task.

    Attributes:
        seeds: one set of runs each; a regime without chance in it is given one.
        k: shots a class, one set of runs each; empty: all labels.
        draws: the draws that all arms share; None where no arm of the study has `k`.
        n_draws: how many of them.
        is_compared: whether a registered comparison names this arm.
        rests_on_smoke: whether it, or an arm that it joins at whatever depth, has random weights.
        work: folder for what a killed process leaves to the next.
        parts: arms that this one joins, whole.
    """

    arm: str
    model: str
    regime: str
    views: tuple[ViewSpec, ...]
    seeds: tuple[int, ...]
    configurations: int
    examples: str
    work: str
    predictions: str
    fitted: str
    k: tuple[int, ...] = ()
    draws: str | None = None
    n_draws: int = 0
    head: str = "logistic_regression"
    mode: str = "zero_shot"
    four_bit: bool = False
    question: str = ""
    models_folder: str | None = None
    download: bool = False
    is_compared: bool = False
    rests_on_smoke: bool = False
    parts: "tuple[ArmSpec, ...]" = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "ArmSpec":
        """Build a spec from what JSON made of it."""
        made: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
        }
        made["views"] = tuple(ViewSpec(**view) for view in given["views"])
        made["parts"] = tuple(cls.of(part) for part in given["parts"])
        return cls(**made)

    @property
    def content(self) -> dict[str, Any]:
        """What shapes the result: everything but where things lie."""
        places = {"examples", "work", "predictions", "fitted", "draws", "models_folder", "download", "views"}
        content = {k: v for k, v in dataclasses.asdict(self).items() if k not in places | {"parts"}}
        return {**content, "parts": [part.content for part in self.parts]}

    @property
    def is_text_trained(self) -> bool:
        """Whether a network reads the texts in this process."""
        return any(view.kind == "text" for view in self.views)
