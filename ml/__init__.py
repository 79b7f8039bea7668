"""What the platform computes: inputs, models, adaptation, evaluation, report. Knows nothing of Dagster."""
