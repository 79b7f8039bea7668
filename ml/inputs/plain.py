"""Names as data: what a concept, a unit or a value is called, without the marks that structure a text."""

import re
from functools import lru_cache

# Reserved for structure: the line break, `;`, ` = `, `[`, `]`, `#`. Brackets, `|` and a `<` that opens a word
# or is closed after it would also let a name spell a tokenizer's special token (`[SEP]`, `<s>`, `<|im_end|>`,
# `<0x0A>`); a comparison (`<5`) stays.
REPLACED = str.maketrans({"[": "(", "]": ")", ";": ",", "|": "/", "#": "no. "})
UNSEEN = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
EQUALS = re.compile(r"(?<= )=(?= )")
OPENING = re.compile(r"<(?=[^\s\d.=]|[^\s<>]+>)")
SPACES = re.compile(r" +")
LONGEST_NAME = 300  # characters; OMOP allows 255, a note has no limit


@lru_cache(maxsize=200_000)
def plain(name: str) -> str:
    """Return a name that cannot break the structure of a text; empty stays empty.

    >>> plain("Fracture;\\n# [SEP] closed = <s>")
    'Fracture, no. (SEP) closed : < s>'
    """
    name = UNSEEN.sub(" ", name[:LONGEST_NAME]).translate(REPLACED)
    name = OPENING.sub("< ", SPACES.sub(" ", name).strip())
    name = EQUALS.sub(":", f" {name} ")
    return SPACES.sub(" ", name).strip()


def number(value: float) -> str:
    """Write a finite value: two decimals from 1 on, three digits below, no trailing zeros.

    >>> number(7.1), number(250_000.0), number(0.0312), number(-0.001)
    ('7.1', '250000', '0.0312', '-0.001')
    """
    if abs(value) < 1:
        return f"{value:.3g}" if value else "0"
    return f"{value:.2f}".rstrip("0").rstrip(".")
