"""Executable runbooks that keep one PostgreSQL server recoverable, and prove it."""

__version__ = "0.1.0"
