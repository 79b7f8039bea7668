"""Each guard is planted the fault that it is for, in a real run, and stops it by its name."""
