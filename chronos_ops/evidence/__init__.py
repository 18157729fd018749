"""What a run leaves behind: journal, record, charts, manifest; redacted, archived (R3, R4, R5)."""
