"""The Dagster side: read, call `ml`, write, report."""
