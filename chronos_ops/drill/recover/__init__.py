"""Recovery for real (D9): the drill's own steps, on the night it happens."""
