"""Near-duplicates against every pair compared in plain Python."""

import numpy as np
import pytest

from ml.leakage.splits.near_duplicates import near_duplicates


def brute(words, jaccard):
    sets = [{tuple(t[n : n + 3]) for n in range(max(1, len(t) - 2))} for t in words]
    return [
        [i, j]
        for i in range(len(words))
        for j in range(i + 1, len(words))
        if len(sets[i] & sets[j]) >= jaccard * len(sets[i] | sets[j]) - 1e-9
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("jaccard", [0.5, 0.85, 1.0])
def test_it_finds_what_comparing_every_pair_finds(seed, jaccard):
    rng = np.random.default_rng(seed)
    words = []
    for _ in range(120):
        if words and rng.random() < 0.5:  # a copy with some words changed
            text = list(words[rng.integers(len(words))])
            for place in rng.integers(0, len(text), rng.integers(0, 4)):
                text[place] = f"w{rng.integers(30)}"
        else:
            text = [f"w{n}" for n in rng.integers(0, 30, rng.integers(1, 60))]
        words.append(text)
    expected = brute(words, jaccard)
    assert expected
    assert near_duplicates(words, jaccard).tolist() == expected
    asked = rng.permutation(120)[:30]
    own = [pair for pair in expected if set(pair) & set(asked.tolist())]
    assert near_duplicates(words, jaccard, asked).tolist() == own
