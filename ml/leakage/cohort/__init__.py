"""Cohort and labels, found again in the published record."""
