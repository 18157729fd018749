"""A stranger's guesses at SSH and PostgreSQL, made from a scratch host until it is out (H2)."""

import json
from dataclasses import dataclass

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.errors import UnreadableAnswer

# Runs on the scratch host: its own Python and OpenSSH client, nothing else is there.
_SCRIPT = r"""
import base64, json, os, socket, ssl, struct, subprocess, sys, time

kind, host, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])

def state(wait=3.0):
    "open, refused, or dropped: no packet comes back"
    try:
        with socket.create_connection((host, port), wait):
            return "open"
    except TimeoutError:
        return "dropped"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return "error: %s" % error

def guess_ssh(number):
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
               "ConnectTimeout=3", "PubkeyAuthentication=no", "LogLevel=ERROR"]
    argv = ["ssh", "-F", "none", "-p", str(port)]
    for option in options:
        argv += ["-o", option]
    done = subprocess.run(argv + ["guess%d@%s" % (number, host), "true"], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=4)
    return done.stderr.strip()[-160:]

def packet(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body

def answer(pipe):
    head = pipe.recv(5)
    if len(head) < 5:
        return b"", b""
    size = struct.unpack("!i", head[1:])[0] - 4
    body = b""
    while len(body) < size:
        part = pipe.recv(size - len(body))
        if not part:
            break
        body += part
    return head[:1], body

def guess_postgres(number):
    "a login with a wrong password, as libpq makes it: TLS, then SCRAM"
    with socket.create_connection((host, port), 3) as plain:
        pipe = plain
        plain.sendall(struct.pack("!ii", 8, 80877103))
        if plain.recv(1) == b"S":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            pipe = context.wrap_socket(plain)
        user = b"user\0guess%d\0database\0postgres\0\0" % number
        pipe.sendall(packet(b"", struct.pack("!i", 196608) + user))
        nonce = base64.b64encode(os.urandom(18))
        while True:
            kind, body = answer(pipe)
            if kind != b"R":
                return body.replace(b"\0", b" ").decode(errors="replace")[:160]
            code = struct.unpack("!i", body[:4])[0]
            if code == 10:
                first = b"n,,n=,r=" + nonce
                start = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
                pipe.sendall(packet(b"p", start))
            elif code == 11:
                theirs = body[4:].split(b",")[0]
                proof = base64.b64encode(os.urandom(32))
                pipe.sendall(packet(b"p", b"c=biws," + theirs + b",p=" + proof))
            else:
                pipe.sendall(packet(b"p", b"guess\0"))

def until_dropped():
    guess = {"ssh": guess_ssh, "postgresql": guess_postgres}[kind]
    before, said, number, begun = state(), [], 0, time.monotonic()
    now = before
    while before == "open" and now != "dropped" and time.monotonic() - begun < seconds:
        number += 1
        try:
            said.append(guess(number))
        except (OSError, struct.error, subprocess.TimeoutExpired) as error:
            said.append(repr(error)[:160])
        now = state(1.5)
        if number >= 12:
            time.sleep(1)
    if now == "dropped":
        now = state(4.0)
    return {"before": before, "after": now, "guesses": number, "said": said,
            "seconds": time.monotonic() - begun}

def until_open():
    begun = time.monotonic()
    now = state(1.0)
    while now == "dropped" and time.monotonic() - begun < seconds:
        time.sleep(0.2)
        now = state(1.0)
    return {"before": "dropped", "after": now, "guesses": 0, "said": [],
            "seconds": time.monotonic() - begun}

print(json.dumps(until_open() if kind == "wait" else until_dropped()))
"""


@dataclass(frozen=True)
class Guessed:
    """How it went: the port `before` and `after` (open, refused, dropped), and what was said."""

    before: str
    after: str
    guesses: int
    said: tuple[str, ...]
    seconds: float

    @property
    def shut_out(self) -> bool:
        """It could reach the port, and now its packets are dropped."""
        return self.before == "open" and self.after == "dropped"


def _run(scratch: Ssh, kind: str, host: str, port: int, seconds: float) -> Guessed:
    argv = ["python3", "-", kind, host, str(port), str(seconds)]
    answer = scratch.run(argv, stdin=_SCRIPT, timeout=seconds + 60)
    try:
        data = json.loads(answer.stdout)
        return Guessed(
            before=str(data["before"]),
            after=str(data["after"]),
            guesses=int(data["guesses"]),
            said=tuple(map(str, data["said"])),
            seconds=float(data["seconds"]),
        )
    except (ValueError, KeyError, TypeError):
        raise UnreadableAnswer("what the scratch host tried", answer.stdout[:200]) from None


def guess_ssh(scratch: Ssh, host: str, port: int, seconds: float) -> Guessed:
    """Guess names at SSH until the packets are dropped, for so many seconds at most."""
    return _run(scratch, "ssh", host, port, seconds)


def guess_postgres(scratch: Ssh, host: str, port: int, seconds: float) -> Guessed:
    """Guess passwords at PostgreSQL until the packets are dropped."""
    return _run(scratch, "postgresql", host, port, seconds)


def wait_open(scratch: Ssh, host: str, port: int, seconds: float) -> Guessed:
    """Wait until the port answers the scratch host again."""
    return _run(scratch, "wait", host, port, seconds)
