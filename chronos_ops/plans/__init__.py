"""What to do: pure functions from settings and facts to a Plan."""
