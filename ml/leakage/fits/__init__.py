"""Fits and scores: who was used to fit what, and what scores hold."""
