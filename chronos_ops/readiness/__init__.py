"""Is a target ready for production? What is there now, and what was proven of it (R8)."""
