"""Metrics, intervals, verdicts and the test of the ceiling: tables in, tables out."""
