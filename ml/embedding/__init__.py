"""From patient texts to vectors, each computed once."""
