"""The regimes: how a model is adapted. Each fits on train, chooses on tuning and scores every example.

One signature, `Regime`: what is shown and how the run is set, to the adapted model with its scores.
"""

from ml.adaptation.heads import choose
from ml.adaptation.shown import Adapted, Regime, Setting, Shown
from ml.adaptation.stacking import stack
from ml.adaptation.tuning import full, lora, verbalizer


def fit(shown: Shown, setting: Setting) -> Adapted:
    """Fit a baseline on its input view."""
    return choose(setting.model.name, shown, setting)


def frozen(shown: Shown, setting: Setting) -> Adapted:
    """Fit a head on a frozen model's vectors."""
    return choose(f"frozen_{setting.head}", shown, setting)


def concat(shown: Shown, setting: Setting) -> Adapted:
    """Fit a head on the representations of several arms side by side."""
    return choose("concat", shown, setting)


REGIMES: dict[str, Regime] = {
    "fit": fit,
    "frozen": frozen,
    "lora": lora,
    "full": full,
    "verbalizer": verbalizer,
    "concat": concat,
    "stack": stack,
}
