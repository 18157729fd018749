"""What is so: one operator's concept per file, a frozen question and how to read its answer."""
