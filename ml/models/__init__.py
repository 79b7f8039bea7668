"""The models that exist, and how their weights are found, verified and loaded."""
