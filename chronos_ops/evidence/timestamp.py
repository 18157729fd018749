"""Time-stamps of the chain's entries by an outside authority (RFC 3161), with openssl's `ts`.

Never required: what an authority does not answer is asked again by the next push.
"""

import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from chronos_ops.evidence.chain import Entry, write_whole
from chronos_ops.model.errors import CommandFailed, TransportError, UsageError

_SECONDS = 20


def request_stamp(entry: Entry, url: str, to: Path) -> None:
    """Have the entry's hash stamped; the answer goes to `to`. Raises TransportError, CommandFailed,
    UsageError (no openssl, no such URL).
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError("not the URL of a time-stamp authority", url)
    with tempfile.TemporaryDirectory() as folder:
        query = Path(folder, "query.tsq")
        _openssl("-query", "-digest", entry.hash, "-sha256", "-cert", "-out", str(query))
        asked = urllib.request.Request(  # noqa: S310 - http(s), as judged above
            url, query.read_bytes(), {"Content-Type": "application/timestamp-query"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=_SECONDS) as answer:  # noqa: S310 - as above
                reply = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise TransportError("the time-stamp authority did not answer", error) from None
        token = Path(folder, "reply.tsr")
        token.write_bytes(reply)
        if "Status: Granted" not in _openssl("-reply", "-in", str(token), "-text"):
            raise TransportError("the time-stamp authority did not grant a time-stamp", url)
    to.parent.mkdir(exist_ok=True)
    write_whole(to, reply)


def stamped_at(entry: Entry, token: Path, ca_file: Path) -> str:
    """The stamp's time, as the authority wrote it. Raises CommandFailed: not of this entry, not
    signed by that CA.
    """
    _openssl("-verify", "-digest", entry.hash, "-in", str(token), "-CAfile", str(ca_file))
    lines = _openssl("-reply", "-in", str(token), "-text").splitlines()
    return next((line[12:] for line in lines if line.startswith("Time stamp: ")), "")


def _openssl(*words: str) -> str:
    try:
        done = subprocess.run(
            ["openssl", "ts", *words], capture_output=True, text=True, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise UsageError("openssl is not installed", hint="apt-get install openssl") from None
    if done.returncode:
        raise CommandFailed(f"openssl ts {words[0]}", done.returncode, done.stdout + done.stderr)
    return done.stdout
