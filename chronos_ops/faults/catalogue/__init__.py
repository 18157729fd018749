"""One fault a file, found by itself."""
