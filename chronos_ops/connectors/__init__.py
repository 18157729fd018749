"""The only ways out, one library each."""
