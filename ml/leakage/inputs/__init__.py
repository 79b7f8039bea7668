"""Inputs: each shown event against the record, and names that give the outcome away."""
