"""fail2ban as it runs: its jails, what they read, whom they spare and whom they ban (H2)."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.facts.reading import json_value
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

# One process asks the server's own socket: `fail2ban-client` takes a fifth of a second a question.
_SCRIPT = r"""
import json, os, subprocess

def out(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()

found = {"installed": False, "answers": False, "error": "", "jails": {},
         "active": out("systemctl", "is-active", "fail2ban.service"),
         "enabled": out("systemctl", "is-enabled", "fail2ban.service"),
         "nft": out("nft", "-j", "list", "table", "inet", "f2b-table"), "journal": False}

since = out("systemctl", "show", "-p", "StateChangeTimestamp", "--value", "fail2ban.service")
found["started"] = int(out("date", "-d", since, "+%s") or 0) if since else 0
found["changed"] = int(max((os.stat(os.path.join(folder, name)).st_mtime
                            for folder, _, names in os.walk("/etc/fail2ban") for name in names),
                           default=0))
try:
    import systemd.journal
    found["journal"] = True
except ImportError:
    pass
try:
    from fail2ban.client.csocket import CSocket
    from fail2ban.version import version
    found["installed"], found["version"] = True, version
except ImportError as error:
    found["error"] = str(error)

def ask(*words):
    code, answer = CSocket("/var/run/fail2ban/fail2ban.sock").send(list(words))
    if code:
        raise ValueError(str(answer))
    return answer

def jail(name):
    read, deeds = dict(dict(ask("status", name))["Filter"]), {}
    for action in ask("get", name, "actions"):
        deed = deeds[action] = {}
        for key in ("blocktype", "port", "actionban"):
            try:
                deed[key] = str(ask("get", name, "action", action, key))
            except ValueError:
                deed[key] = ""
    return {
        "failed": read.get("Total failed", 0), "files": ask("get", name, "logpath"),
        "journal": read.get("Journal matches", []),
        "banned": [str(ip) for ip in dict(dict(ask("status", name))["Actions"])["Banned IP list"]],
        "ignored": [str(ip) for ip in ask("get", name, "ignoreip")],
        "ban_seconds": ask("get", name, "bantime"), "max_retry": ask("get", name, "maxretry"),
        "find_seconds": ask("get", name, "findtime"),
        "actions": deeds,
    }

if found["installed"]:
    try:
        found["log"] = str(ask("get", "logtarget"))
        names = dict(ask("status"))["Jail list"]
        found["answers"] = True
        for name in filter(None, (n.strip() for n in names.split(","))):
            found["jails"][name] = jail(name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found["error"] = repr(error)
print(json.dumps(found, default=str))
"""


@dataclass(frozen=True)
class Jail:
    """A jail that runs."""

    name: str
    files: tuple[str, ...]
    journal: tuple[str, ...]  # journal matches; empty: it reads files
    banned: tuple[str, ...]
    ignored: tuple[str, ...]  # never banned by a failure (a ban by hand is not stopped by it)
    ban_seconds: int
    find_seconds: int
    max_retry: int
    blocktypes: tuple[str, ...]  # of each action: "drop", "reject ..."
    ports: tuple[str, ...]  # of each action: "22", "ssh"
    failed: int


@dataclass(frozen=True)
class Fail2ban:
    """The server and its jails. `answers`: its socket said which jails there are."""

    installed: bool
    version: str
    active: str
    enabled: str
    answers: bool
    error: str
    log: str  # file, or SYSLOG, SYSTEMD-JOURNAL, STDOUT
    reads_journal: bool  # python3-systemd is there
    started: int  # seconds since 1970
    changed: int  # the newest file below /etc/fail2ban
    jails: dict[str, Jail]
    dropped: frozenset[str]  # addresses in the sets of fail2ban's nftables
    verdicts: tuple[str, ...]  # what its nftables do with them: "drop", "reject"

    @property
    def stale(self) -> bool:
        """Its files are newer than the running server."""
        return self.active == "active" and 0 < self.started < self.changed


def _jail(name: str, data: dict[str, Any]) -> Jail:
    actions = list(data["actions"].values())
    return Jail(
        name=name,
        files=tuple(data["files"]),
        journal=tuple(data["journal"]),
        banned=tuple(data["banned"]),
        ignored=tuple(data["ignored"]),
        ban_seconds=int(data["ban_seconds"]),
        find_seconds=int(data["find_seconds"]),
        max_retry=int(data["max_retry"]),
        blocktypes=tuple(action["blocktype"] for action in actions),
        ports=tuple(action["port"] for action in actions),
        failed=int(data["failed"]),
    )


def _address(element: Any) -> str:
    match element:
        case str():
            return element
        case {"elem": {"val": value}}:
            return _address(value)
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case _:
            raise UnreadableAnswer("not an element of a set of nftables", element)


def _nftables(text: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Addresses in fail2ban's sets, and the verdicts of its rules."""
    if not text:
        return frozenset(), ()
    items = json_value(ShellAnswer(0, text), "nftables' ruleset").get("nftables", [])
    addresses: set[str] = set()
    verdicts: list[str] = []
    for item in items:
        kind, body = next(iter(item.items()))
        if not isinstance(body, dict) or not str(body.get("table", "")).startswith("f2b"):
            continue
        if kind == "set":
            addresses |= {_address(element) for element in body.get("elem", [])}
        elif kind == "rule":
            last = body.get("expr", [{}])[-1]
            verdicts.append(next(iter(last), ""))
    return frozenset(addresses), tuple(verdicts)


def _read(answer: ShellAnswer) -> Fail2ban:
    data = json_value(answer, "fail2ban's answer")
    try:
        dropped, verdicts = _nftables(data["nft"])
        return Fail2ban(
            installed=data["installed"],
            version=data.get("version", ""),
            active=data["active"],
            enabled=data["enabled"],
            answers=data["answers"],
            error=data["error"],
            log=data.get("log", ""),
            reads_journal=data["journal"],
            started=int(data["started"]),
            changed=int(data["changed"]),
            jails={name: _jail(name, jail) for name, jail in data["jails"].items()},
            dropped=dropped,
            verdicts=verdicts,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableAnswer("fail2ban's answer", repr(error)) from None


FAIL2BAN: Fact[Fail2ban] = Fact(
    "fail2ban", ShellQuestion(("python3", "-c", _SCRIPT), sudo=True), _read
)
