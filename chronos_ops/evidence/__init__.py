"""What is left of a run: journal, manifest, report."""
