"""Counting tokens as the encoder will see them: those of whole prompts, and those before a text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

FIRST_CHARACTERS = ("x", "1", "#")  # of texts: a tokenizer may join one of them to the end of an instruction


def prefix_tokens(tokenizer: Any, prefix: str) -> int:
    """Return how many tokens of a prompt are its instruction: special ones before it count, later ones not.

    A token that an instruction shares with a text is the text's. Without an instruction it is 0: nothing is
    left out of a mean then.
    """
    if not prefix:
        return 0
    prompts = [prefix + text for text in FIRST_CHARACTERS]
    columns = zip(*tokenizer(prompts, return_attention_mask=False)["input_ids"], strict=False)
    for n, column in enumerate(columns):
        if len(set(column)) > 1:
            return n
    raise ValueError("The tokenizer reads every text alike: there is no telling where an instruction ends")


def token_counter(folder: Path) -> Callable[[list[str]], list[int]]:
    """Return a function that counts the tokens of whole prompts, special tokens included."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    def count(prompts: list[str]) -> list[int]:
        ids = tokenizer(prompts, verbose=False, return_attention_mask=False)["input_ids"]
        return [len(own) for own in ids]

    return count
