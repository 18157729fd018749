"""Logins tried from outside with OpenSSH's own client: only the operator's key may enter (H3)."""

import re
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.execution.context import Context
from chronos_ops.facts.sshd import SSHD, Sshd
from chronos_ops.hardening.programs import Said, find, look
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans.ssh import PATH, beaten_by, drop_in
from chronos_ops.plans.ssh_wanted import wrong_values

_CONTINUE = re.compile(r"Authentications that can continue: (\S+)")
_ACCEPTED = re.compile(r"Authenticated to \S+ .*using \"([^\"]+)\"")
_OTHERS = ("password", "keyboard-interactive", "gssapi-with-mic", "hostbased")


@dataclass(frozen=True)
class Try:
    """One try. `offered`: methods that the server would take; None: it did not come so far."""

    title: str
    offered: frozenset[str] | None
    entered: bool
    exit_code: int  # of the command behind a login; 255: there was no login
    said: str

    @property
    def answer(self) -> str:
        if self.entered:
            return "let in"
        return "refused" if self.offered is not None else "no answer"


def read_try(title: str, said: Said) -> Try:
    """What `ssh -v` tells of a try."""
    offered = _CONTINUE.findall(said.stderr)
    methods = {word for text in offered for word in text.split(",") if word}
    accepted = _ACCEPTED.search(said.stderr)
    last = [line for line in said.stderr.splitlines() if not line.startswith(("debug1", "OpenSSH"))]
    return Try(
        title=title,
        offered=frozenset(methods) if offered or accepted else None,
        entered=accepted is not None,
        exit_code=said.exit_code,
        said=(last[-1].strip() if last else f"exit code {said.exit_code}")[:200],
    )


class _Client:
    """OpenSSH's client with pinned keys, no agent, no configuration of this machine."""

    def __init__(self, context: Context, folder: Path) -> None:
        self._context = context
        self._address = context.ssh.address
        self._folder = folder
        known = folder / "known_hosts"
        host, port = self._address.host, self._address.port
        name = host if port == 22 else f"[{host}]:{port}"
        pinned = [line.split()[1:3] for line in self._address.known_hosts if line.strip()]
        known.write_text("".join(f"{name} {' '.join(words)}\n" for words in pinned))
        self._known = known

    def stranger_key(self) -> Path:
        """A key that nobody has admitted, made now."""
        path = self._folder / "stranger"
        argv = [find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "stranger", "-f"]
        subprocess.run([*argv, str(path)], check=True, stdin=subprocess.DEVNULL)
        return path

    def guess(self) -> Path:
        """A program that answers every prompt with a password that nobody has."""
        path = self._folder / "guess"
        path.write_text(f"#!/bin/sh\necho {secrets.token_hex(12)}\n")
        path.chmod(0o700)
        return path

    def attempt(self, title: str, user: str, methods: str, key: Path, command: str = "true") -> Try:
        """One connection, trying these methods in this order."""
        options = {
            "UserKnownHostsFile": self._known,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "ControlMaster": "no",
            "ConnectTimeout": 10,
            "NumberOfPasswordPrompts": 1,
            "PreferredAuthentications": methods,
        }
        argv = ["env", f"SSH_ASKPASS={self.guess()}", "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0"]
        argv += [find("ssh"), "-v", "-F", "none", "-i", str(key), "-p", str(self._address.port)]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        log = f"login-{re.sub('[^a-z]+', '-', title.lower()).strip('-')}.log"
        argv += [f"{user}@{self._address.host}", command]
        return read_try(title, look(self._context, argv, log=log, timeout=60))


def outside_logins(context: Context) -> Outcome:
    """Try to log in as a stranger, by password, as root; and as the operator.

    Raises NotInstalled (OpenSSH's client), UsageError (the operator's key file is not there).
    """
    own = Path(context.settings.host.key_file).expanduser()
    if not own.is_file():
        raise UsageError("SSH key file not found", own)
    user = context.settings.host.user
    every = "publickey,keyboard-interactive,password"
    with tempfile.TemporaryDirectory(prefix="chronos-logins-") as folder:
        client = _Client(context, Path(folder))
        stranger = client.stranger_key()
        context.say("logging in as the operator, as a stranger, as root …")
        tries = [
            client.attempt("the operator's own key", user, "publickey", own, "sudo -n true"),
            client.attempt("an unknown key, then guessed passwords", user, every, stranger),
            client.attempt("root with the operator's key, then passwords", "root", every, own),
        ]
    findings = [*judge_logins(*tries), judge_effective(context, context.ask(SSHD))]
    good = all(finding.good for finding in findings)
    return Outcome(
        summary="From outside, the operator's key enters; no password is even asked for."
        if good
        else "**SSH lets in, or asks for, what it must not; or it could not be known.**",
        table=[
            {
                "tried": t.title,
                "methods offered": ", ".join(sorted(t.offered or ())) or "-",
                "answer": t.answer,
                "last words": t.said,
            }
            for t in tries
        ],
        findings=findings,
    )


def judge_logins(own: Try, stranger: Try, root: Try) -> list[Finding]:
    """The three tries. What was never answered is not known, whatever was not let in."""
    reached = [t for t in (own, stranger, root) if t.offered is not None]
    offered = {method for t in reached for method in t.offered or ()}
    others = sorted(offered & set(_OTHERS))
    known = len(reached) == 3
    hint = f"which file wins: `sudo sshd -T`, `ls /etc/ssh/sshd_config.d`; {PATH} must be first"
    return [
        judge(
            "logins.operator",
            "The operator's own key enters, with sudo",
            passed=own.entered and own.exit_code == 0,
            observed=f"{own.answer}, sudo: {own.exit_code == 0}"
            if own.entered
            else f"{own.answer} ({own.said})",
            expected="let in, sudo: True",
            hint="without this control a refusal of the others would prove nothing",
            requirement="H3",
        ),
        _offered("password", others, known=known, hint=hint),
        _offered("keyboard-interactive", others, known=known, hint=hint),
        judge(
            "logins.nothing-else-offered",
            "Nothing but keys is offered to anybody",
            passed=not others if known or others else None,
            observed=", ".join(sorted(offered)) or "no answer",
            expected="publickey",
            hint=hint,
            requirement="H3",
        ),
        _refused("logins.unknown-key", "A stranger's key and guesses are refused", stranger, hint),
        _refused("logins.root", "root is refused, even with the operator's key", root, hint),
    ]


def _offered(method: str, others: list[str], *, known: bool, hint: str) -> Finding:
    return judge(
        f"logins.{method}",
        f"Login by {method} is not even offered",
        passed=method not in others if known or method in others else None,
        observed="offered" if method in others else "not offered" if known else "no answer",
        expected="not offered",
        hint=hint,
        requirement="H3",
    )


def _refused(identifier: str, title: str, tried: Try, hint: str) -> Finding:
    passed = None if tried.offered is None and not tried.entered else not tried.entered
    return judge(
        identifier,
        title,
        passed=passed,
        observed=f"{tried.answer} ({tried.said})",
        expected="refused",
        hint=hint,
        requirement="H3",
    )


def judge_effective(context: Context, sshd: Sshd) -> Finding:
    """sshd's own word: what is in effect for everybody, and whether it has been loaded (16)."""
    wrong = [sshd.error] if sshd.error else wrong_values(context.settings, sshd)
    if not sshd.error:
        wrong += [
            f"read before ours: {line}" for line in beaten_by(sshd, drop_in(context.settings, sshd))
        ]
    if sshd.stale:
        wrong.append("the running sshd has not read the files as they are")
    return judge(
        "ssh.effective",
        "sshd's configuration in effect is as wanted, for everybody",
        passed=not wrong,
        observed="; ".join(wrong)[:600] or f"{sshd.version}: as wanted",
        expected="keys only, no root, in every Match block too",
        hint="run the stage `ssh` once more; look for drop-ins of another hand in "
        "/etc/ssh/sshd_config.d",
        requirement="H3",
    )
