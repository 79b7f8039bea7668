"""Fitting a record into a context: the most of its newest events whose text has at most so many tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ml.strict import InputError

SLACK = 0.02  # of the context may stay empty; closing the gap costs a tokenizer pass for each halving

CountTokens = Callable[[list[str]], list[int]]


@dataclass
class Fitted:
    """A text that fits: how many of the newest events it shows, its tokens, and those of the whole record."""

    n_kept: int
    text: str
    n_tokens: int
    n_tokens_whole: int


@dataclass
class _Search:
    """One record being cut: `low` fits, `high` events have `high_tokens`, too many."""

    record: int
    low: Fitted
    high: int
    high_tokens: int

    def next_size(self, max_tokens: int, turn: int) -> int:
        """Guess by tokens an event, halve every other turn so that it ends; strictly between both ends."""
        gap = self.high - self.low.n_kept
        share = (max_tokens - self.low.n_tokens) / (self.high_tokens - self.low.n_tokens)
        step = int(gap * share) if turn % 2 == 0 else gap // 2
        return self.low.n_kept + min(max(step, 1), gap - 1)

    def is_open(self, max_tokens: int) -> bool:
        return self.high - self.low.n_kept > 1 and self.low.n_tokens < (1 - SLACK) * max_tokens


def fit_to_context(
    sizes: Sequence[int],
    write: Callable[[int, int], str],
    count_tokens: CountTokens,
    max_tokens: int,
) -> list[Fitted]:
    """Cut every record to its newest events so that its text fits; the whole record where it does.

    Args:
        sizes: number of events of each record.
        write: gives the text of a record (by place) that shows so many of its newest events.
        count_tokens: tokens of each text as the model will see it, special tokens included.

    Raises:
        InputError: not even age and sex fit.
    """
    places = range(len(sizes))
    wholes = [write(place, sizes[place]) for place in places]
    fitted = [
        Fitted(size, text, n, n) for size, text, n in zip(sizes, wholes, count_tokens(wholes), strict=True)
    ]
    over = [place for place in places if fitted[place].n_tokens > max_tokens]
    heads = [write(place, 0) for place in over]
    searches = []
    for place, head, n_tokens in zip(over, heads, count_tokens(heads), strict=True):
        if n_tokens > max_tokens:
            raise InputError(
                f"A context of {max_tokens} tokens does not hold the instruction with age and sex"
                f" ({n_tokens} tokens)\n\nhint: raise `max_tokens`, or shorten the instruction"
            )
        whole = fitted[place]
        low = Fitted(0, head, n_tokens, whole.n_tokens_whole)
        searches.append(_Search(place, low, whole.n_kept, whole.n_tokens))
    turn = 0
    while still_open := [search for search in searches if search.is_open(max_tokens)]:
        tried = [search.next_size(max_tokens, turn) for search in still_open]
        texts = [write(search.record, size) for search, size in zip(still_open, tried, strict=True)]
        for search, size, text, n_tokens in zip(still_open, tried, texts, count_tokens(texts), strict=True):
            if n_tokens <= max_tokens:
                search.low = Fitted(size, text, n_tokens, search.low.n_tokens_whole)
            else:
                search.high, search.high_tokens = size, n_tokens
        turn += 1
    for search in searches:
        fitted[search.record] = search.low
    return fitted
