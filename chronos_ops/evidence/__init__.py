"""What a run leaves behind: journal, record, charts, manifest; redacted (R3, R5)."""
