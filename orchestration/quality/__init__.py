"""Data quality: DuckDB counts (in dbt), a catalogue says how much is too much, Great Expectations judges."""
