"""What differs between the architecture classes: what LoRA adapts, and which keys of a checkpoint may stay.

Targets are explicit: peft's own defaults lack half of these classes and reach the pooler or the vision
tower of others. Every pattern is matched against a whole module name.
"""

import re
from dataclasses import dataclass
from typing import Literal

# The lookahead keeps LoRA out of a vision tower: text never sends it a gradient.
DECODER_TARGETS = r"(?!.*vision).*layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
ATTENTION_TARGETS = r"(?!.*vision).*layers\.\d+\.self_attn\.[qkvo]_proj"
BERT_TARGETS = (
    r".*encoder\.layer\.\d+\."
    r"(attention\.self\.(query|key|value)|attention\.output\.dense|intermediate\.dense|output\.dense)"
)
MODERNBERT_TARGETS = r".*layers\.\d+\.(attn\.(Wqkv|Wo)|mlp\.(Wi|Wo))"


@dataclass(frozen=True)
class Architecture:
    """One class of networks, by the `model_type` of its configuration.

    `pretraining_head`: keys of a checkpoint that the bare network leaves out; any other one is refused.
    `has_pooler`: the class would add a pooler of random numbers where the checkpoint has none.
    """

    model_type: str
    kind: Literal["encoder", "decoder"]
    lora_targets: str
    pretraining_head: str
    has_pooler: bool = False

    def is_pretraining_head(self, key: str) -> bool:
        """Whether a checkpoint's key belongs to the head that it was pretrained with."""
        return re.match(self.pretraining_head, key) is not None


ARCHITECTURES = {
    row.model_type: row
    for row in (
        Architecture("bert", "encoder", BERT_TARGETS, r"cls\.", has_pooler=True),
        Architecture("megatron-bert", "encoder", BERT_TARGETS, r"cls\.", has_pooler=True),
        Architecture("modernbert", "encoder", MODERNBERT_TARGETS, r"(head|decoder)\."),
        Architecture("qwen2", "decoder", DECODER_TARGETS, r"lm_head\."),
        Architecture("qwen3", "decoder", DECODER_TARGETS, r"lm_head\."),
        Architecture("mistral", "decoder", DECODER_TARGETS, r"lm_head\."),
        Architecture("llama", "decoder", DECODER_TARGETS, r"lm_head\."),
        # Its experts are three-dimensional tensors, no modules: attention alone is adapted.
        Architecture("gpt_oss", "decoder", ATTENTION_TARGETS, r"lm_head\."),
        Architecture("gemma3_text", "decoder", DECODER_TARGETS, r"lm_head\."),
        Architecture("gemma3", "decoder", DECODER_TARGETS, r"lm_head\."),
    )
}


def architecture_of(model_type: str) -> Architecture:
    """Return the row of a `model_type`.

    Raises:
        KeyError: a class that was never proved here.
    """
    if model_type not in ARCHITECTURES:
        raise KeyError(f"Unknown architecture `{model_type}`. Allowed: {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[model_type]
