"""Carries a Plan out through the connectors; asks; undoes."""
