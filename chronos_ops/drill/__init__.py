"""The disaster, and the way back, measured."""
