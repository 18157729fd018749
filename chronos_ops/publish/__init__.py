"""The runbooks as documents: Markdown files, Confluence pages, comments on tickets (R6, R7)."""
