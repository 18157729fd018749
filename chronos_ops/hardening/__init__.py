"""Hardening proven from outside: what a stranger and an operator really meet (H)."""
