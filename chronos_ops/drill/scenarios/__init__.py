"""The catalogue of scenarios: one file each, found by its name."""
