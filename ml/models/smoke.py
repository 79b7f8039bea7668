"""Tiny networks of every class with random weights: they prove the machinery and say nothing of a model.

    python -m ml.models.smoke <folder>

writes those of the registry below a folder that SECOND_OPINION_MODELS then names. Weights come from numpy's
integer generator, so that they are the same bytes everywhere and the registry can pin them.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from ml.artefact import whole_folder
from ml.models.architecture import architecture_of

ROWS = 320  # of the embedding; the tokenizer has fewer tokens, as in real checkpoints
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
ANSWERS = ("yes", "Yes", "YES", "no", "No", "NO")
SPREAD = 0.35  # half-width of the weights: wide enough that scores differ between texts

COMMON = {
    "vocab_size": ROWS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
DECODER = {
    **COMMON,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "max_position_embeddings": 16_384,
}
SLIDING = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
GEMMA = {**DECODER, **SLIDING, "query_pre_attn_scalar": 8}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "bert": COMMON,
    "megatron-bert": COMMON,
    "modernbert": {
        **COMMON,
        "num_hidden_layers": 4,
        "local_attention": 16,
        "global_attn_every_n_layers": 3,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "cls_token_id": 1,
        "sep_token_id": 2,
    },
    "qwen3": DECODER,
    "qwen2": {name: value for name, value in DECODER.items() if name != "head_dim"},
    "mistral": {**DECODER, "sliding_window": 64},
    "llama": DECODER,
    "gpt_oss": {
        **DECODER,
        **SLIDING,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
    "gemma3_text": GEMMA,
    "gemma3": {
        "text_config": GEMMA,
        "vision_config": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        "mm_tokens_per_image": 4,
        "image_token_index": 310,
        "boi_token_index": 311,
        "eoi_token_index": 312,
    },
}


def write_smoke_model(model_type: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a tiny network of a class with its pretraining head, as checkpoints come, and a tokenizer."""
    with whole_folder(folder) as temporary:
        network = _network(model_type)
        _fill(network, seed)
        network.save_pretrained(temporary)
        tokenizer(model_type).save_pretrained(temporary)
    return folder


def tokenizer(model_type: str) -> Any:
    """Make a byte-level tokenizer in which each spelling of yes and no is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    merges: list[tuple[str, str]] = []
    for word in ANSWERS:
        merges += [(word[:end], word[end]) for end in range(1, len(word))]
    merges = list(dict.fromkeys(merges)) + [("Ġ", word) for word in ANSWERS]
    pieces = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in merges)]
    vocabulary = {piece: n for n, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if architecture_of(model_type).kind == "encoder":
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        special |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    else:
        special |= {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def _network(model_type: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    configuration = AutoConfig.for_model(model_type, **CONFIGURATIONS[model_type])
    is_encoder = architecture_of(model_type).kind == "encoder"
    loader = AutoModelForMaskedLM if is_encoder else AutoModelForCausalLM
    return loader.from_config(configuration)


def _fill(network: Any, seed: int) -> None:
    """Overwrite every weight that is not a constant with uniform numbers, the same on every machine."""
    import torch

    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for _, weight in sorted(network.named_parameters()):
            if weight.ndim > 1 or bool((weight != weight.flatten()[0]).any()):
                drawn = generator.random(tuple(weight.shape), dtype=np.float32)
                weight.copy_(torch.from_numpy((2 * drawn - 1) * np.float32(SPREAD)))


def main(folder: str) -> None:
    """Write the smoke models of the registry below `folder`, those that are not there yet."""
    from ml.models.loading import verify
    from ml.models.registry import MODELS

    for model in MODELS.values():
        if model.smoke_only:
            target = Path(folder) / model.name
            if not target.is_dir():
                write_smoke_model(model.name.removeprefix("smoke_"), target)
            verify(model, target)


if __name__ == "__main__":
    main(sys.argv[1])
