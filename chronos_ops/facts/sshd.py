"""sshd: its configuration in effect, the files that give it, its keys, how it is started (H3)."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from chronos_ops.facts.sshd_script import SCRIPT
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

MAIN = "/etc/ssh/sshd_config"
DIRECTORY = "/etc/ssh/sshd_config.d"
_ALWAYS = frozenset(
    ["version", "config", "status", "moduli", "service", "socket", "operator", "end"]
)
Values = dict[str, tuple[str, ...]]  # keyword in lower case: each of its values


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file, and when it was last changed (seconds since 1970)."""

    path: str
    changed: int
    mode: str
    text: str


@dataclass(frozen=True)
class HostKey:
    """A host key on disk. `used`: sshd is told to load it."""

    path: str
    kind: str  # RSA, ECDSA, ED25519, DSA
    bits: int
    used: bool


@dataclass(frozen=True)
class Line:
    """One setting as it is written: keyword in lower case."""

    path: str
    number: int
    keyword: str
    value: str
    text: str


@dataclass(frozen=True)
class Sshd:
    """sshd on one host. `error`: it would not start with its files as they are."""

    version: str  # OpenSSH_10.0p2
    effective: Values
    error: str
    by_context: dict[str, Values]  # "user=root,addr=..": what differs there, where Match is used
    files: tuple[ConfigFile, ...]
    keys: tuple[HostKey, ...]
    moduli: int
    weak_moduli: int  # below 3071 bits
    known: dict[str, frozenset[str]]  # kex, cipher, mac, key: what this OpenSSH can speak
    service: str  # active, inactive, ...: ssh.service
    socket: str  # active: sshd is started by systemd's ssh.socket
    loaded: int  # when the service last read its files (seconds since 1970); 0: not known
    operator: tuple[str, ...]  # who asked, and the groups of that user

    def first(self, keyword: str) -> str:
        """The keyword's (first) value in effect; "" where this sshd does not know it."""
        return self.effective.get(keyword, ("",))[0]

    @property
    def stale(self) -> bool:
        """The files are newer than what the running service has read."""
        newest = max((file.changed for file in self.files), default=0)
        return self.service == "active" and 0 < self.loaded < newest

    @property
    def ports(self) -> tuple[str, ...]:
        return self.effective.get("port", ())

    @property
    def texts(self) -> dict[str, str]:
        """Each file's text by its path."""
        return {file.path: file.text for file in self.files}


def lines_read(texts: dict[str, str]) -> list[Line]:
    """The global settings in the order in which sshd reads them: its first value wins."""
    return _walk(MAIN, texts, 0)


def _walk(path: str, texts: dict[str, str], depth: int) -> list[Line]:
    found: list[Line] = []
    for number, text in enumerate(texts.get(path, "").splitlines(), 1):
        words = text.replace("=", " ", 1).split() if "=" in text.split("#")[0] else text.split()
        if not words or words[0].startswith("#"):
            continue
        keyword = words[0].lower()
        if keyword == "match":
            break  # the rest holds for some connections only; it ends with its file
        if keyword == "include" and depth < 4:
            for pattern in words[1:]:
                full = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
                for name in sorted(n for n in texts if fnmatchcase(n, full) and n != path):
                    if name.count("/") == full.count("/"):
                        found += _walk(name, texts, depth + 1)
            continue
        found.append(Line(path, number, keyword, " ".join(words[1:]), text))
    return found


def settings_of(text: str) -> Values:
    """The lines of `sshd -T`."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword:
            found.setdefault(keyword.lower(), []).append(value.strip())
    return {keyword: tuple(values) for keyword, values in found.items()}


def _sections(text: str) -> list[tuple[str, list[str], str]]:
    """(name, words behind it, body) of each `@@` section; bodies are quoted with `|`."""
    found: list[tuple[str, list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("@@ "):
            name, *words = line[3:].split()
            found.append((name, words, []))
        elif line.startswith("|") and found:
            found[-1][2].append(line[1:])
        elif line.strip():
            raise UnreadableAnswer("not a section of the look at sshd", line[:120])
    return [(name, words, "".join(f"{line}\n" for line in body)) for name, words, body in found]


def _key(words: list[str], body: str, used: tuple[str, ...]) -> HostKey:
    parts = body.split()
    if len(parts) < 3 or not parts[0].isdigit():
        raise UnreadableAnswer(f"ssh-keygen cannot read the host key {words[0]}", body[:120])
    return HostKey(words[0], parts[-1].strip("()"), int(parts[0]), words[0] in used)


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0


def _read(answer: ShellAnswer) -> Sshd:
    sections = _sections(answer.stdout)
    one = {name: body for name, words, body in sections if not words}
    missing = {
        "version",
        "config",
        "status",
        "moduli",
        "service",
        "socket",
        "operator",
        "end",
    } - set(one)
    if missing:
        raise UnreadableAnswer("the look at sshd lacks", ", ".join(sorted(missing)))
    good = one["status"].strip() == "0"
    effective = settings_of(one["config"]) if good else {}
    used = effective.get("hostkey", ())
    contexts: dict[str, Values] = {}
    for name, words, body in sections:
        if name == "context":
            contexts[words[0]] = settings_of(body)
    files = tuple(
        ConfigFile(words[0], int(words[1]), f"0{words[2]}", body)
        for name, words, body in sections
        if name == "file"
    )
    moduli = one["moduli"].split()
    return Sshd(
        version=one["version"].strip(),
        effective=effective,
        error="" if good else one["config"].strip() or "sshd -T failed",
        by_context=contexts,
        files=files,
        keys=tuple(_key(words, body, used) for name, words, body in sections if name == "key"),
        moduli=int(moduli[0]),
        weak_moduli=int(moduli[1]),
        known={
            words[0]: frozenset(body.split()) for name, words, body in sections if name == "known"
        },
        service=one["service"].strip(),
        socket=one["socket"].strip(),
        loaded=_number(one.get("loaded", "")),
        operator=tuple(one["operator"].split()),
    )


SSHD: Fact[Sshd] = Fact("sshd", ShellQuestion(("sh", "-c", SCRIPT, "sshd"), sudo=True), _read)
