"""The faults that checks and drills must name, and the score: how many of them they do."""
