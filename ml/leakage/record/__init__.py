"""The record: every event against the landed source, and when it was known."""
