"""Floor 8: one run, from a scenario to results."""
