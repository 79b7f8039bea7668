"""Pooling reads the attention mask: what padding holds, and on which side, changes nothing."""

import numpy as np
import pytest

from ml.embedding.pooling import POOLINGS, pool


@pytest.fixture
def hidden():
    import torch

    return torch.randn(4, 9, 5, generator=torch.Generator().manual_seed(3))


LENGTHS = (9, 1, 4, 7)


def mask_of(side: str):
    import torch

    mask = torch.zeros(4, 9, dtype=torch.long)
    for row, n in enumerate(LENGTHS):
        mask[row, (slice(0, n) if side == "right" else slice(9 - n, 9))] = 1
    return mask


def expected(rows: np.ndarray, pooling: str) -> np.ndarray:
    if pooling == "cls":
        return rows[0]
    if pooling == "last_token":
        return rows[-1]
    return rows.mean(0)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_is_what_plain_slices_give(hidden, side, pooling):
    mask = mask_of(side)
    found = pool(hidden, mask, pooling).numpy()
    for row in range(4):
        real = hidden[row][mask[row].bool()].numpy()
        np.testing.assert_allclose(found[row], expected(real, pooling), atol=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_instruction_is_left_out_of_its_mean(hidden, side):
    mask = mask_of(side)[[0, 2, 3]]
    found = pool(hidden[[0, 2, 3]], mask, "mean_no_instruction", 2).numpy()
    for row, source in enumerate((0, 2, 3)):
        real = hidden[source][mask[row].bool()].numpy()
        np.testing.assert_allclose(found[row], real[2:].mean(0), atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_the_padding_holds_changes_nothing(hidden, pooling):
    mask = mask_of("right")
    other = hidden.clone()
    other[mask == 0] = 1e4
    assert (pool(hidden, mask, pooling) == pool(other, mask, pooling)).all()


def test_a_text_without_a_token_to_pool_is_an_error(hidden):
    with pytest.raises(ValueError, match="1 of 4 texts have no token to pool"):
        pool(hidden, mask_of("right"), "mean_no_instruction", 1)


def test_an_unknown_pooling_names_those_that_exist(hidden):
    with pytest.raises(ValueError, match=r"Unknown pooling `max`\. Allowed: mean, last_token"):
        pool(hidden, mask_of("right"), "max")
