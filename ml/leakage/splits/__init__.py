"""Splits: nobody, and no copy of a record or a text, on both sides."""
