"""Yes and no as a language model says them: the question, examples in context, and the tokens that answer."""

import re
from collections.abc import Sequence
from typing import Any

from ml.adaptation.guards import require_answers

# Every spelling: any case, a leading space (also SentencePiece's and byte-level BPE's), a closing mark.
SPELLING = r"[\s\u2581\u0120]?{word}[.!?]?"
ASK = "\n\nQuestion: {question}\nAnswer yes or no.\nAnswer:"
SHOWN_ANSWERS = {0: " no", 1: " yes"}


def answer_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the ids of all single tokens that spell yes, and of those that spell no.

    Raises:
        RefusalError: there is none for one of them (`answer_not_one_token`).
    """
    spelled = tokenizer.batch_decode([[n] for n in range(len(tokenizer))])

    def ids(word: str) -> list[int]:
        pattern = re.compile(SPELLING.format(word=word), re.IGNORECASE)
        return [n for n, text in enumerate(spelled) if pattern.fullmatch(text)]

    yes, no = ids("yes"), ids("no")
    require_answers(yes, no)
    return yes, no


def prompts(
    prefix: str, texts: Sequence[str], *, question: str, examples: Sequence[tuple[str, int]] = ()
) -> list[str]:
    """Return what the model is asked of each text: instruction, examples with answers, text, question.

    Args:
        prefix: the instruction in the model's own template, or nothing.
        texts: N patient texts.
        question: the task's, in words.
        examples: (text, label) shown before, in this order.
    """
    asked = ASK.format(question=question)
    shown = "".join(f"{text}{asked}{SHOWN_ANSWERS[label]}\n\n" for text, label in examples)
    return [f"{prefix}{shown}{text}{asked}" for text in texts]


def prompt_tokens(
    tokenizer: Any, asked: Sequence[str], *, answer_prefix: str, is_chat: bool
) -> list[list[int]]:
    """Turn prompts into token ids; a chat model is asked in its own format.

    `answer_prefix` opens the answer where the format wants more than the turn's start (gpt-oss: the final
    channel), so that the next token is the answer itself.
    """
    if is_chat:
        asked = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
            )
            for text in asked
        ]
    with_prefix = [text + answer_prefix for text in asked]
    return tokenizer(with_prefix, add_special_tokens=not is_chat, verbose=False)["input_ids"]
