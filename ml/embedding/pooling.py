"""Pooling: one vector a text from the vectors of its tokens, by attention mask and never by token id.

transformers' classification heads look for the last id that is not padding, and skip an end token that is
also the padding token (Qwen3-Embedding): they pool another token than the model was trained on.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

POOLINGS = ("mean", "last_token", "cls", "mean_no_instruction")


def pool(
    hidden: "torch.Tensor", attention_mask: "torch.Tensor", pooling: str, n_prefix: int = 0
) -> "torch.Tensor":
    """Pool the last hidden state, with padding on either side.

    Args:
        hidden: (N, T, D).
        attention_mask: (N, T), 1 where a token is real.
        pooling: `mean` over real tokens, `last_token`, `cls` (the first real token), or
            `mean_no_instruction`: mean over real tokens without the first `n_prefix` of them.

    Returns:
        (N, D) in the dtype of `hidden`; means are taken in float32.

    Raises:
        ValueError: no such pooling, or a text has no token to pool.
    """
    import torch

    mask = attention_mask.to(torch.bool)
    order = mask.cumsum(1)  # 1 at the first real token
    if pooling in ("mean", "mean_no_instruction"):
        chosen = mask if pooling == "mean" else mask & (order > n_prefix)
        weights = chosen.unsqueeze(-1).to(torch.float32)
        _require_tokens(chosen)
        return ((hidden.float() * weights).sum(1) / weights.sum(1)).to(hidden.dtype)
    _require_tokens(mask)
    rows = torch.arange(len(hidden), device=hidden.device)
    if pooling == "cls":
        return hidden[rows, mask.to(torch.int8).argmax(1)]
    if pooling == "last_token":
        return hidden[rows, order.argmax(1)]
    raise ValueError(f"Unknown pooling `{pooling}`. Allowed: {', '.join(POOLINGS)}")


def _require_tokens(chosen: "torch.Tensor") -> None:
    empty = int((~chosen.any(1)).sum())
    if empty:
        raise ValueError(f"{empty} of {len(chosen)} texts have no token to pool")
