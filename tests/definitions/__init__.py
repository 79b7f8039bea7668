"""The definitions of `DEFINITIONS.md` once more, in plain Python, and worlds that try their edges."""
