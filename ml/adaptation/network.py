"""Networks that give one logit a text: a pooled backbone with a linear head, or a decoder's yes and no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from ml.adaptation.answers import answer_tokens
from ml.adaptation.hardware import autocast, device, working_dtype
from ml.embedding.pooling import pool
from ml.embedding.tokens import prefix_tokens
from ml.models.architecture import architecture_of
from ml.models.loading import load_encoder, load_language_model
from ml.models.model import Model

HEAD_SPREAD = 0.02  # standard deviation of a new head's weights, as in BERT
LORA_ALPHA = 32  # Hegselmann et al. 2026; CPLLM uses the same


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter: rank and dropout; its targets are those of the architecture."""

    rank: int
    dropout: float


class TextScorer(nn.Module):
    """One logit a text; `backbone` is a transformer, perhaps wrapped by an adapter."""

    padding_side: Literal["left", "right"]
    n_prefix = 0  # tokens of an instruction that are not read

    def __init__(self, backbone: Any, tokenizer: Any):
        super().__init__()
        self.backbone, self.tokenizer = backbone, tokenizer

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return what the logit is made from, float32 (B, D)."""
        raise NotImplementedError

    def logit(self, read: torch.Tensor) -> torch.Tensor:
        """Return the logit of label 1, float32 (B,)."""
        raise NotImplementedError

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the logit of label 1 of B padded texts, float32 (B,)."""
        return self.logit(self.read(input_ids, attention_mask))

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return the weights that training changes, by name, in order."""
        return {name: weight for name, weight in sorted(self.named_parameters()) if weight.requires_grad}

    def load_trainable(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Set the weights that training changes."""
        with torch.no_grad():
            for name, weight in self.trainable().items():
                weight.copy_(weights[name])

    def collate(self, tokens: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad B token lists to the longest; return ids and attention mask, int64 (B, L), on the device."""
        width = max(map(len, tokens))
        ids = np.full((len(tokens), width), self.tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(tokens):
            place = slice(width - len(one), None) if self.padding_side == "left" else slice(len(one))
            ids[row, place], mask[row, place] = one, 1
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)


class PooledClassifier(TextScorer):
    """A backbone, our pooling by attention mask and a linear head.

    transformers' own classification classes pool at the last token that is no pad *id*: an end token that
    doubles as padding is skipped without a word.
    """

    padding_side = "right"  # encoders read [CLS] at position 0; decoders do not mind

    def __init__(self, backbone: Any, tokenizer: Any, pooling: str, n_prefix: int = 0):
        super().__init__(backbone, tokenizer)
        self.pooling, self.n_prefix = pooling, n_prefix
        self.head = nn.Linear(backbone.config.get_text_config().hidden_size, 1)
        nn.init.normal_(self.head.weight, std=HEAD_SPREAD)
        nn.init.zeros_(self.head.bias)

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the pooled hidden state, float32 (B, D)."""
        with autocast(self.device):
            hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return pool(hidden.float(), attention_mask, self.pooling, self.n_prefix)

    def logit(self, read: torch.Tensor) -> torch.Tensor:
        """Return the head's logit, float32 (B,)."""
        return self.head(read).squeeze(-1)


class Verbalizer(TextScorer):
    """A decoder asked for yes or no: log of the summed probability of every yes over that of every no."""

    padding_side = "left"  # the answer follows the last position

    def __init__(self, backbone: Any, tokenizer: Any):
        super().__init__(backbone, tokenizer)
        self.yes, self.no = answer_tokens(tokenizer)
        backbone.get_output_embeddings().register_forward_hook(self._answer)

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next token, first those that spell yes, then no; float32 (B, yes + no)."""
        with autocast(self.device):
            found = self.backbone(
                input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=1, use_cache=False
            )
        return found.logits[:, -1].float()

    def logit(self, read: torch.Tensor) -> torch.Tensor:
        """Return log P(yes) - log P(no), float32 (B,)."""
        yes, no = read[:, : len(self.yes)], read[:, len(self.yes) :]
        return yes.logsumexp(-1) - no.logsumexp(-1)

    def _answer(self, head: Any, given: tuple[torch.Tensor, ...], _: torch.Tensor) -> torch.Tensor:
        """Give the logits of the answers alone, in float32, in place of those of the whole vocabulary.

        In bfloat16 logits around 20 lie 1/8 apart: the scores of many texts would tie. The rest of the
        vocabulary cancels in P(yes) / P(no).
        """
        answers = self.yes + self.no
        bias = None if head.bias is None else head.bias[answers].float()
        with torch.autocast(given[0].device.type, enabled=False):
            return nn.functional.linear(given[0].float(), head.weight[answers].float(), bias)


def build_classifier(
    model: Model, folder: Path, *, lora: Lora | None, seed: int, prefix: str = "", four_bit: bool = False
) -> PooledClassifier:
    """Return a classifier with a new head; with `lora` the backbone is frozen and adapted, else trained.

    `prefix` is the instruction before every text. A frozen backbone is held in the working format; what is
    trained in float32.
    """
    on = device()
    dtype = working_dtype(on) if lora else torch.float32
    backbone, tokenizer = load_encoder(model, folder, dtype=dtype, four_bit=four_bit)
    torch.manual_seed(seed)
    if lora is not None:
        backbone = _adapted(backbone, lora, model)
    for name, weight in backbone.named_parameters():
        if "pooler." in name:  # not read by any pooling here, so never trained
            weight.requires_grad_(False)
    scorer = PooledClassifier(backbone, tokenizer, model.pooling, prefix_tokens(tokenizer, prefix))
    scorer.head.to(on)
    return scorer if four_bit else scorer.to(on)  # 4-bit weights are placed as they are loaded


def build_verbalizer(
    model: Model, folder: Path, *, lora: Lora | None, seed: int, four_bit: bool = False
) -> Verbalizer:
    """Return a decoder that answers; with `lora` it is adapted, else nothing of it is trained."""
    on = device()
    backbone, tokenizer = load_language_model(model, folder, dtype=working_dtype(on), four_bit=four_bit)
    torch.manual_seed(seed)
    if lora is not None:
        backbone = _adapted(backbone, lora, model)
    else:
        backbone.requires_grad_(False)
    scorer = Verbalizer(backbone, tokenizer)
    return scorer if four_bit else scorer.to(on)


def save_memory(scorer: TextScorer) -> None:
    """Recompute activations in the backward pass instead of keeping them."""
    scorer.backbone.activation_checkpointing_enable({"use_reentrant": False})


def _adapted(backbone: Any, lora: Lora, model: Model) -> Any:
    from peft import LoraConfig, get_peft_model

    targets = architecture_of(backbone.config.model_type).lora_targets
    configuration = LoraConfig(
        r=lora.rank, lora_alpha=LORA_ALPHA, lora_dropout=lora.dropout, target_modules=targets, bias="none"
    )
    adapted = get_peft_model(backbone, configuration)
    configuration.base_model_name_or_path = model.name  # the folder's path is this machine's own
    return adapted
