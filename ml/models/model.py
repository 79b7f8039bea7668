"""What a row of the registry says of a model."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Model:
    """A backbone or a baseline.

    `architecture` is the `model_type` of its configuration, empty for a baseline.
    `files` are sha256 by file name of what is loaded; a folder that differs is refused.
    `package` and `package_folder` name an installed package that carries the folder.
    `instruction_template` is how the model expects an instruction before a text. A model with `is_chat` is
    asked in its tokenizer's chat template, with `answer_prefix` opening the answer.
    """

    name: str
    kind: Literal["specialist", "generalist", "baseline"]
    title: str
    architecture: str = ""
    parameters: int | None = None
    pretrained_on: str = "nothing"
    hub: str | None = None
    revision: str | None = None
    package: str | None = None
    package_folder: str = ""
    files: tuple[tuple[str, str], ...] = ()
    pooling: Literal["mean", "last_token", "cls", "mean_no_instruction", "none"] = "none"
    instruction_template: str = "{instruction}\n"
    is_chat: bool = False
    answer_prefix: str = ""
    max_tokens: int | None = None
    licence: str = ""
    smoke_only: bool = False
