"""Signals: what tells cases from others in what was shown."""
