"""The names of the regimes that exist, without loading what they need."""

REGIME_NAMES = ("fit", "frozen", "lora", "full", "verbalizer", "concat", "stack")
