"""Equal budgets: each family's own grid with its source; every arm tries the same number of rows.

Rows are ordered so that the published choice comes first and a smaller budget keeps the widest spread.
Ceilings are generous and the same early stopping ends long before them: the best tuning AUROC, `PATIENCE`
epochs without a better one (boosting: `LIGHTGBM_PATIENCE` rounds).
"""

from dataclasses import dataclass
from typing import Any

from ml.adaptation.lesson import Recipe

SELECTION_METRIC = "auroc"
PATIENCE = 5  # epochs; Hegselmann et al. 2026
MAX_EPOCHS = 20  # as there
MLP_CEILING = 200  # epochs over frozen vectors
LIGHTGBM_CEILING = 2000  # boosting rounds
LIGHTGBM_PATIENCE = 50


@dataclass(frozen=True)
class Grid:
    """The configurations of a family, and where they come from."""

    source: str
    rows: tuple[dict[str, Any], ...]


def _lora(*rows: tuple[float, int, float]) -> tuple[dict[str, Any], ...]:
    return tuple({"learning_rate": rate, "rank": rank, "dropout": dropout} for rate, rank, dropout in rows)


def _full(*rows: tuple[float, int]) -> tuple[dict[str, Any], ...]:
    return tuple({"learning_rate": rate, "batch_size": size} for rate, size in rows)


def _strengths(*values: float) -> tuple[dict[str, Any], ...]:
    return tuple({"C": value} for value in values)


EHRSHOT = "EHRSHOT (Wornow 2023): logistic regression, C on a logarithmic grid"
HEGSELMANN = "Hegselmann 2026, npj Digit Med 9:530, configs: learning rate x rank x dropout, alpha 32"
# Of its 27 rows: the best on their tuning, then the corners that differ most.
LORA_DECODER = Grid(
    HEGSELMANN,
    _lora(
        (2e-4, 8, 0.05), (5e-5, 8, 0.05), (1e-4, 64, 0.1),
        (2e-4, 64, 0.1), (1e-4, 16, 0.0), (5e-5, 64, 0.0),
    ),
)  # fmt: skip

GRIDS = {
    "prior": Grid("nothing to choose", ({},)),
    "untrained": Grid("nothing to choose", ({},)),
    "logistic_regression": Grid(
        f"{EHRSHOT}, ten times wider for counts", _strengths(0.01, 0.1, 1.0, 10.0, 100.0, 0.001)
    ),
    "lightgbm": Grid(
        "LightGBM's parameter-tuning guide: size of a tree, step, rows in a leaf; from small to large",
        (
            {"num_leaves": 15, "learning_rate": 0.05, "min_child_samples": 20},
            {"num_leaves": 31, "learning_rate": 0.05, "min_child_samples": 20},
            {"num_leaves": 7, "learning_rate": 0.05, "min_child_samples": 20},
            {"num_leaves": 15, "learning_rate": 0.02, "min_child_samples": 50},
            {"num_leaves": 31, "learning_rate": 0.02, "min_child_samples": 50},
            {"num_leaves": 7, "learning_rate": 0.1, "min_child_samples": 50},
        ),
    ),
    "frozen_logistic_regression": Grid(EHRSHOT, _strengths(0.001, 0.01, 0.1, 1.0, 10.0, 0.0001)),
    "frozen_mlp": Grid(
        "none published for a head on frozen record vectors; one hidden layer, scikit-learn's rate and decay",
        (
            {"hidden": 128, "alpha": 1e-4, "learning_rate": 1e-3},
            {"hidden": 32, "alpha": 1e-2, "learning_rate": 1e-3},
            {"hidden": 512, "alpha": 1e-4, "learning_rate": 1e-4},
            {"hidden": 128, "alpha": 1e-1, "learning_rate": 1e-4},
            {"hidden": 32, "alpha": 1e-4, "learning_rate": 1e-2},
            {"hidden": 512, "alpha": 1e-2, "learning_rate": 1e-3},
        ),
    ),
    "concat": Grid(EHRSHOT, _strengths(0.001, 0.01, 0.1, 1.0, 10.0, 0.0001)),
    "stack": Grid(
        f"{EHRSHOT}, wider for a few scores", _strengths(1.0, 0.1, 10.0, 100.0, 0.01, 0.001)
    ),
    "lora_encoder": Grid(
        HEGSELMANN,
        _lora(
            (5e-5, 8, 0.1), (2e-4, 8, 0.1), (1e-4, 64, 0.05),
            (2e-4, 64, 0.0), (1e-4, 16, 0.1), (5e-5, 16, 0.0),
        ),
    ),
    "lora_decoder": LORA_DECODER,
    "verbalizer": LORA_DECODER,
    "full_encoder": Grid(
        "BERT (Devlin 2019), appendix A.3: learning rate x batch size",
        _full((5e-5, 16), (2e-5, 32), (3e-5, 16), (5e-5, 32), (2e-5, 16), (3e-5, 32)),
    ),
    "full_decoder": Grid(
        "Llama 2 (Touvron 2023), section 3.1: 2e-5, batch 64; its neighbours are ours",
        _full((2e-5, 64), (1e-5, 64), (2e-5, 16), (5e-6, 16), (1e-5, 16), (5e-6, 64)),
    ),
}  # fmt: skip
MOST_CONFIGURATIONS = 6


def configurations(family: str, n: int) -> tuple[dict[str, Any], ...]:
    """Return the first `n` rows of a family's grid; a family with nothing to choose has one."""
    return GRIDS[family].rows[:n]


def recipe(family: str, configuration: dict[str, Any]) -> Recipe:
    """Return how a configuration of a neural family is trained."""
    rate = configuration["learning_rate"]
    if family == "full_encoder":
        return Recipe(rate, configuration["batch_size"], MAX_EPOCHS, PATIENCE, 0.1, 0.01, "linear")
    if family == "full_decoder":
        return Recipe(rate, configuration["batch_size"], MAX_EPOCHS, PATIENCE, 0.03, 0.1)
    return Recipe(rate, 8, MAX_EPOCHS, PATIENCE, 0.03, 0.0)
