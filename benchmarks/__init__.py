"""What we claim, each a script anyone can run."""
