"""Adapted networks on disk: what `from_pretrained` loads (an adapter apart), and the head beside it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from ml.adaptation.hardware import device, working_dtype
from ml.adaptation.network import PooledClassifier, TextScorer, Verbalizer
from ml.models.loading import load_encoder, load_language_model
from ml.models.model import Model
from ml.refusal import RefusalError

HEAD, DESCRIBED, ADAPTER, BACKBONE = "head.safetensors", "network.json", "adapter", "backbone"


def save_network(scorer: TextScorer, folder: Path) -> None:
    """Write what training changed: the adapter or the whole backbone, the head, and what describes them.

    An untrained verbalizer leaves its description alone: its weights are the model's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described: dict[str, Any] = {
        "kind": type(scorer).__name__,
        "adapted": hasattr(scorer.backbone, "peft_config"),
        "tokenizer_sha256": tokenizer_sha256(scorer.tokenizer),
    }
    if described["adapted"]:
        scorer.backbone.save_pretrained(folder / ADAPTER, save_embedding_layers=False)
    elif isinstance(scorer, PooledClassifier):
        scorer.backbone.save_pretrained(folder / BACKBONE)
        scorer.tokenizer.save_pretrained(folder / BACKBONE)
    if isinstance(scorer, PooledClassifier):
        described |= {"pooling": scorer.pooling, "n_prefix": scorer.n_prefix}
        save_file({name: one.contiguous() for name, one in scorer.head.state_dict().items()}, folder / HEAD)
    (folder / DESCRIBED).write_text(json.dumps(described, indent=1, sort_keys=True), encoding="utf-8")


def load_network(folder: Path, model: Model, base: Path, *, four_bit: bool = False) -> TextScorer:
    """Load a saved network for scoring; `base` holds the weights that it adapted.

    Raises:
        RefusalError: weights are missing or unexpected, or the tokenizer is not the one it was trained with.
    """
    described = json.loads((folder / DESCRIBED).read_text(encoding="utf-8"))
    on = device()
    dtype = working_dtype(on)
    is_classifier = described["kind"] == PooledClassifier.__name__
    if (folder / BACKBONE).is_dir():
        backbone, tokenizer = load_encoder(model, folder / BACKBONE)
    elif is_classifier:
        backbone, tokenizer = load_encoder(model, base, dtype=dtype, four_bit=four_bit)
    else:
        backbone, tokenizer = load_language_model(model, base, dtype=dtype, four_bit=four_bit)
    if tokenizer_sha256(tokenizer) != described["tokenizer_sha256"]:
        raise RefusalError(
            "tokenizer_of_another_model", f"`{model.name}` was adapted with another tokenizer than it has now"
        )
    if described["adapted"]:
        backbone = _with_adapter(backbone, folder / ADAPTER, model)
    scorer: TextScorer
    if is_classifier:
        scorer = PooledClassifier(backbone, tokenizer, described["pooling"], described["n_prefix"])
        scorer.head.load_state_dict(load_file(folder / HEAD))
        scorer.head.to(on)
    else:
        scorer = Verbalizer(backbone, tokenizer)
    return (scorer if four_bit else scorer.to(on)).eval()


def tokenizer_sha256(tokenizer: Any) -> str:
    """Hash a tokenizer by the ids of its vocabulary and of its special tokens."""
    content = json.dumps([sorted(tokenizer.get_vocab().items()), sorted(tokenizer.all_special_ids)])
    return hashlib.sha256(content.encode()).hexdigest()


def _with_adapter(backbone: Any, folder: Path, model: Model) -> Any:
    """Put an adapter on a backbone; peft itself only warns of weights that do not fit."""
    from peft import PeftConfig, get_peft_model, set_peft_model_state_dict

    weights = load_file(folder / "adapter_model.safetensors")
    configuration = PeftConfig.from_pretrained(str(folder))
    configuration.base_model_name_or_path = None  # peft would warn that the model lies elsewhere now
    adapted = get_peft_model(backbone, configuration)
    found = set_peft_model_state_dict(adapted, weights)
    missing = [key for key in found.missing_keys if "lora_" in key]
    if missing or found.unexpected_keys:
        raise RefusalError(
            "weights_differ",
            f"the adapter of `{model.name}` lacks {len(missing)} tensors and has"
            f" {len(found.unexpected_keys)} unknown ones",
        )
    return adapted
