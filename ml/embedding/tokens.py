"""Counting tokens as the encoder will see them, without loading its weights."""

from collections.abc import Callable
from pathlib import Path


def token_counter(folder: Path) -> Callable[[list[str]], list[int]]:
    """Return a function that counts the tokens of whole prompts, special tokens included."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    def count(prompts: list[str]) -> list[int]:
        ids = tokenizer(prompts, verbose=False, return_attention_mask=False)["input_ids"]
        return [len(own) for own in ids]

    return count
