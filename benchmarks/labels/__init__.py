"""The labels of one task by the models, by hand in three libraries and by es-aces: equal, and how fast."""
