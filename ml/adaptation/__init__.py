"""How a model is adapted to a task."""
