"""The prerequisites of an application: looked at, never changed (A1)."""
