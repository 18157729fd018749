"""Runs by a timer: units for systemd, a claim for each slot, and what became of the slots (R2)."""
