"""Every way in by SSH key: files, commands, authorities, as sshd has them for each account (H3)."""

import json
import shlex
from dataclasses import dataclass

from chronos_ops.facts.audit import Reading

EVERYONE = "*"
KEY_FILE, PRINCIPALS_FILE = "authorizedkeysfile", "authorizedprincipalsfile"
KEY_COMMAND, PRINCIPALS_COMMAND = "authorizedkeyscommand", "authorizedprincipalscommand"
AUTHORITIES = "trustedusercakeys"


@dataclass(frozen=True)
class AuthorizedKey:
    """A key that opens an account; or one whose certificates do (`authority`)."""

    account: str  # of an authority that sshd itself trusts: all of them, or EVERYONE
    file: str
    bits: int
    fingerprint: str
    comment: str
    kind: str  # RSA, ED25519 ...
    authority: bool = False


@dataclass(frozen=True)
class Way:
    """Where sshd looks for keys, by `sshd -T`, and for whom."""

    keyword: str
    value: str
    accounts: tuple[str, ...]  # or EVERYONE

    @property
    def shown(self) -> str:
        """For a finding."""
        few = ", ".join(self.accounts[:3]) + (" ..." if len(self.accounts) > 3 else "")
        return f"{self.keyword} {self.value}" + (
            "" if self.accounts == (EVERYONE,) else f" ({few})"
        )


@dataclass(frozen=True)
class SshAccess:
    """All of it. `unread`: what may hold a key, and could not be read or understood."""

    ways: tuple[Way, ...]
    keys: tuple[AuthorizedKey, ...]
    authorities: tuple[AuthorizedKey, ...]
    unread: tuple[str, ...]
    started: str  # the command line of sshd: its options are not in what `sshd -T` says

    def by(self, *keywords: str) -> list[Way]:
        """The ways of some keywords."""
        return [way for way in self.ways if way.keyword in keywords]


# Asked for each account, from outside and from each address that a Match names. Lines that hold
# by another criterion (a port, a name) are named as not looked at.
_SCRIPT = r"""
import glob, ipaddress, json, os, pwd, re, stat, subprocess

NAMES = ("authorizedkeysfile", "authorizedprincipalsfile", "authorizedkeyscommand",
         "authorizedprincipalscommand", "trustedusercakeys")
QUOTED = r'"(?:\\.|[^"\\])*"'
cache, unread, addresses = {}, set(), {"192.0.2.1"}

def run(*argv, given=None):
    return subprocess.run(argv, input=given, capture_output=True, text=True, errors="replace")

def configuration():
    files = ["/etc/ssh/sshd_config"]
    for path in files:
        criteria = ""
        for number, line in enumerate(open(path, errors="replace"), 1):
            word, *rest = re.split(r"[\s=]+", line.strip(), maxsplit=1)
            rest = "".join(rest).replace('"', "")
            if word.lower() == "include":
                found = [f for p in rest.split() for f in glob.glob(os.path.join("/etc/ssh", p))]
                files += [f for f in found if f not in files]
            elif word.lower() == "match":
                criteria = rest.lower()
                yield f"{path}:{number}", "match", criteria
            elif word.lower() in NAMES and set(criteria.replace("=", " ").split()[::2]) - {
                "all", "user", "group", "address"}:
                yield f"{path}:{number}", word, criteria

for place, word, criteria in configuration():
    if word != "match":
        unread.add(f"{place}: {word} holds by `Match {criteria}` only")
        continue
    for text in re.findall(r"\baddress[\s=]+(\S+)", criteria):
        for item in text.split(","):
            one = re.sub(r"[*?]", "1", item.lstrip("!"))
            if "*" in item and ":" not in item:  # 10.0.*: as 10.0.1.1
                one = ".".join([*one.split("."), "1", "1", "1"][:4])
            try:
                addresses.add(str(ipaddress.ip_interface(one).ip))
            except ValueError:
                unread.add(f"{place}: for the address {item}")

def effective(user, address):
    spec = f"user={user},host=outside.invalid,addr={address},laddr=192.0.2.2,lport=22"
    said = run("sshd", "-T", "-C", spec)
    if said.returncode:
        raise SystemExit(said.stderr or "sshd -T failed")
    for line in said.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        if keyword.lower() in NAMES and value not in ("", "none"):
            yield keyword.lower(), value

def text_of(path):
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("not a regular file")
        with open(path, errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        unread.add(f"{path}: {error.strerror or error}")
        return ""

def keys_in(path):
    if path in cache:
        return cache[path]
    found = cache[path] = []
    for number, line in enumerate(text_of(path).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        said = run("ssh-keygen", "-lf", "-", given=line + "\n")
        if said.returncode:
            unread.add(f"{path}:{number}: no key that ssh-keygen understands")
            continue
        head = re.match(rf'(?:{QUOTED}|[^\s"])*', line)[0]
        options = re.sub(QUOTED, "", head).lower().split(",")
        found.append(("cert-authority" in options, said.stdout.strip()))
    return found

def paths(pattern, who):
    known = {"h": who.pw_dir, "u": who.pw_name, "U": str(who.pw_uid), "%": "%"}
    path = os.path.join(who.pw_dir, re.sub("%(.)", lambda m: known.get(m[1], m[0]), pattern))
    return sorted(glob.glob(path)) or [path]

os.makedirs("/run/sshd", 0o755, exist_ok=True)  # socket-activated: not there before a login
everyone = {who.pw_name: who for who in pwd.getpwall()}
ways = {}
for name in everyone:
    for address in sorted(addresses):
        for way in effective(name, address):
            ways.setdefault(way, {})[name] = True
keys, authorities = [], []
for (keyword, value), names in ways.items():
    if keyword == "trustedusercakeys":
        for path in value.split():
            mine = ["*"] if len(names) == len(everyone) else sorted(names)
            authorities += [[", ".join(mine), path, True, said] for _, said in keys_in(path)]
    elif keyword == "authorizedkeysfile":
        for name in names:
            for path in (p for pattern in value.split() for p in paths(pattern, everyone[name])):
                keys += [[name, path, *found] for found in keys_in(path)
                         if [name, path, *found] not in keys]

pid = run("systemctl", "show", "-p", "MainPID", "--value", "ssh.service").stdout.strip()
if pid not in ("", "0"):
    with open(f"/proc/{pid}/cmdline") as file:
        started = file.read().replace("\0", " ").strip()
else:
    started = run("systemctl", "show", "-p", "ExecStart", "--value", "ssh.service").stdout.strip()
    options = re.findall(r"^SSHD_OPTS=(.*)$", text_of("/etc/default/ssh"), re.M)
    started += "".join(" " + option.strip("\"'") for option in options)
shown = [[*way, ["*"] if len(names) == len(everyone) else sorted(names)]
         for way, names in ways.items()]
print(json.dumps({"ways": sorted(shown), "keys": sorted(keys), "authorities": authorities,
                  "unread": sorted(unread), "started": started}))
"""


def _key(account: str, file: str, authority: bool, said: str) -> AuthorizedKey:
    bits, fingerprint, rest = said.split(None, 2)
    comment, _, kind = rest.rpartition(" ")
    return AuthorizedKey(
        account, file, int(bits), fingerprint, comment, kind.strip("()"), authority
    )


def _read(text: str) -> SshAccess:
    told = json.loads(text)
    ways = tuple(Way(keyword, value, tuple(names)) for keyword, value, names in told["ways"])
    found = SshAccess(
        ways=ways,
        keys=tuple(_key(*row) for row in told["keys"]),
        authorities=tuple(_key(*row) for row in told["authorities"]),
        unread=tuple(told["unread"]),
        started=told["started"],
    )
    if not found.started:
        raise ValueError("nothing said of how sshd was started")
    return found


SSH_ACCESS = Reading("ssh_access", f"python3 -c {shlex.quote(_SCRIPT)}", _read)
