"""Shows the site's folder on this machine, and lets nothing in it run or load."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Executed notebooks show what hosts said: whatever slipped into one is shown, never run.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"


class _Handler(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header(
            "Content-Security-Policy", f"{_POLICY}; base-uri 'none'; form-action 'none'"
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """On 127.0.0.1 alone. Raises OSError: the port cannot be used."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
