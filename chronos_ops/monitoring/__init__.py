"""Monitoring proven: every alarm driven, its notification received back (M)."""
