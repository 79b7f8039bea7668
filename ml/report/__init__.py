"""The report: one self-contained page and the tables that may leave, small cells suppressed."""
