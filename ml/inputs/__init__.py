"""Input views: what an arm is shown of each example, and nothing else."""
