"""certbot: which one is here, what it renews and how, and what the last hand-over said."""

import re
from dataclasses import dataclass

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

LIVE = "/etc/letsencrypt/live"
CHALLENGE = "chronos-ops: ACME challenge"  # the rule's comment that certbot's hook puts in


@dataclass(frozen=True)
class Certbot:
    """The program and the units by which it renews (Debian's package, or Ubuntu's snap)."""

    program: str
    version: str
    unit: str  # without its suffix: "certbot", "snap.certbot.renew"


_PROGRAM_SCRIPT = """
p=$(command -v certbot || true); [ -n "$p" ] || { [ -x /snap/bin/certbot ] && p=/snap/bin/certbot; }
[ -n "$p" ] || { echo absent; exit 0; }
case "$(readlink -f "$p")" in */snap*) u=snap.certbot.renew ;; *) u=certbot ;; esac
echo "$p $u $("$p" --version 2>&1 | tail -n 1)"
"""


def _read_certbot(answer: ShellAnswer) -> Certbot | None:
    said = lines(answer)
    if said == ["absent"]:
        return None
    words = said[0].split() if len(said) == 1 else []
    if len(words) != 4 or words[2] != "certbot":
        raise UnreadableAnswer("not certbot's version", answer.stdout[:120])
    return Certbot(words[0], words[3], words[1])


CERTBOT: Fact[Certbot | None] = Fact(
    "certbot", ShellQuestion(("sh", "-c", _PROGRAM_SCRIPT)), _read_certbot
)


@dataclass(frozen=True)
class Renewal:
    """/etc/letsencrypt/renewal/NAME.conf: what the next renewal will do."""

    server: str
    authenticator: str
    challenges: str
    pre_hook: str
    post_hook: str
    deploy_hook: str
    manual_auth_hook: str
    manual_cleanup_hook: str
    renew_before: str


def _read_renewal(answer: ShellAnswer) -> Renewal | None:
    if answer.stdout.strip() == "absent":
        return None
    values: dict[str, str] = {}
    for line in lines(answer):
        key, equals, value = line.strip().partition("=")
        if line.lstrip().startswith(("#", "[")):
            continue
        if not equals:
            raise UnreadableAnswer("not a line of a renewal's configuration", line[:120])
        values[key.strip()] = value.strip().strip("'\"").removesuffix(",")
    if "server" not in values or "authenticator" not in values:
        raise UnreadableAnswer("not a renewal's configuration", answer.stdout[:120])
    return Renewal(
        server=values["server"],
        authenticator=values["authenticator"],
        challenges=values.get("pref_challs", ""),
        pre_hook=values.get("pre_hook", ""),
        post_hook=values.get("post_hook", ""),
        deploy_hook=values.get("renew_hook", ""),
        manual_auth_hook=values.get("manual_auth_hook", ""),
        manual_cleanup_hook=values.get("manual_cleanup_hook", ""),
        renew_before=values.get("renew_before_expiry", ""),
    )


def renewal(name: str) -> Fact[Renewal | None]:
    """How the certificate of that name is renewed; None: certbot knows none of that name."""
    script = '[ -e "$1" ] && cat "$1" || echo absent'
    path = f"/etc/letsencrypt/renewal/{name}.conf"
    question = ShellQuestion(("sh", "-c", script, "renewal", path), sudo=True)
    return Fact("certbot_renewal", question, _read_renewal)


@dataclass(frozen=True)
class ChallengePort:
    """Port 80 on the host: rules of UFW that let it in, and who listens ("": nobody)."""

    rules: tuple[str, ...]
    listener: str
    challenge_running: bool  # certbot is at work

    @property
    def left_open(self) -> tuple[str, ...]:
        """Rules that no challenge under way explains."""
        return tuple(r for r in self.rules if not (self.challenge_running and CHALLENGE in r))

    @property
    def taken_by(self) -> str:
        """Who listens there and is not certbot at work; "": nobody."""
        own = self.challenge_running and self.listener in ("certbot", "python3")
        return "" if own else self.listener


# A process may call itself anything; certbot at work holds this lock, and only root can.
AT_WORK = """
at_work() {
  lock=$(stat -c %i /etc/letsencrypt/.certbot.lock 2>/dev/null) || { echo 0; return; }
  grep -c "POSIX .*:$lock [0-9]" /proc/locks || :
}
"""
_PORT_SCRIPT = f"""{AT_WORK}
echo "certbot $(at_work)"
echo "listener $(ss -Hltnp 'sport = :80' | sed -n 's/.*users:(("\\([^"]*\\)".*/\\1/p' | sort -u)"
command -v ufw >/dev/null && ufw show added || echo 'no ufw'
"""
_ADMITS = re.compile(r"ufw (allow|limit) .*(\b80(/tcp)?\b|\bWWW\b|\bHTTP\b)")


def _read_port(answer: ShellAnswer) -> ChallengePort:
    said = lines(answer)
    ufw = next((n for n, line in enumerate(said) if n > 1 and "ufw" in line.lower()), 0)
    if not ufw or not said[0].startswith("certbot "):
        raise UnreadableAnswer("not the state of port 80", answer.stdout[:200])
    listeners = [said[1].removeprefix("listener"), *said[2:ufw]]  # two programs, two lines
    return ChallengePort(
        rules=tuple(line for line in said[ufw + 1 :] if _ADMITS.match(line)),
        listener=", ".join(filter(None, (name.strip() for name in listeners))),
        challenge_running=said[0] != "certbot 0",
    )


CHALLENGE_PORT: Fact[ChallengePort] = Fact(
    "challenge_port", ShellQuestion(("sh", "-c", _PORT_SCRIPT), sudo=True), _read_port
)


def _read_failure(answer: ShellAnswer) -> str:
    said = answer.stdout.strip()
    if said and not re.match(r"\d{4}-\d\d-\d\dT[\d:]+Z ", said):
        raise UnreadableAnswer("not the note of a failed hand-over", said[:120])
    return said


def hand_over_failure(state: str) -> Fact[str]:
    """What the last hand-over complained of (moment and reason); "": nothing."""
    script = '[ ! -e "$1" ] || cat "$1"'
    question = ShellQuestion(("sh", "-c", script, "failure", f"{state}/failed"), sudo=True)
    return Fact("certificate_failure", question, _read_failure)
