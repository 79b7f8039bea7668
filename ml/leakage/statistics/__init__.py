"""Statistics that alarms judge: tails that are never too small, and the rate that all share."""
