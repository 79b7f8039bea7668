"""Leakage: what models were shown is looked at for what they must not have seen."""
