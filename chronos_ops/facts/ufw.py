"""UFW: its rules by family, its defaults, and whether the kernel has them (ufw-framework(8))."""

import base64
import ipaddress
import re
from dataclasses import dataclass

from chronos_ops.facts.certbot import AT_WORK
from chronos_ops.facts.files import FileState
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

RULES4 = "/etc/ufw/user.rules"
RULES6 = "/etc/ufw/user6.rules"
CONF = "/etc/ufw/ufw.conf"
DEFAULTS = "/etc/default/ufw"
FILES = (RULES4, RULES6, CONF, DEFAULTS)
FRAMEWORK = ("before.rules", "before6.rules", "after.rules", "after6.rules")

_SCRIPT = rf"""{AT_WORK}
command -v ufw >/dev/null || {{ echo absent; exit 0; }}
echo "version $(ufw version | sed -n 1p)"
ufw status | sed -n 's/^Status: /status /p'
echo "unit $(systemctl is-enabled ufw.service) $(systemctl is-active ufw.service)"
echo "challenge $(at_work)"
for f in {" ".join(FILES)}; do
  [ ! -f $f ] || echo "file $f $(stat -c '%a %U %G' $f) $(base64 -w0 $f)"
done
for f in {" ".join(FRAMEWORK)}; do
  cmp -s /etc/ufw/$f /usr/share/ufw/iptables/$f || echo "framework $f"
done
for t in iptables:ufw-user-input ip6tables:ufw6-user-input; do
  program=${{t%:*}}
  command -v $program >/dev/null || continue
  echo "policy $program $($program -w 5 -S INPUT | sed -n 's/^-P INPUT //p')"
  $program -w 5 -S ${{t#*:}} 2>/dev/null | sed -n "s/^-A /loaded $program /p"
done
exit 0
"""


@dataclass(frozen=True)
class UfwRule:
    """A rule of one family, as UFW keeps it (a `### tuple ###`)."""

    family: int  # 4 or 6
    action: str  # allow, deny, reject, limit; `_log` behind it, `route:` before it
    protocol: str  # tcp, udp, any
    port: str  # "22", "6000:6007", "any"
    source: str  # a network
    destination: str
    source_port: str
    direction: str  # in, out, in_eth0
    comment: str = ""

    @property
    def shown(self) -> str:
        """As an operator reads it."""
        where = "" if self.destination in _EVERYWHERE else f" to {self.destination}"
        via = "" if self.source_port == "any" else f" port {self.source_port}"
        way = "" if self.direction == "in" else f" ({self.direction})"
        said = f"  # {self.comment}" if self.comment else ""
        return (
            f"IPv{self.family} {self.action} {self.port}/{self.protocol}{where} "
            f"from {self.source}{via}{way}{said}"
        )

    @property
    def meaning(self) -> tuple[str, ...]:
        """All but the comment."""
        return (
            str(self.family), self.action, self.protocol, self.port, self.source,
            self.destination, self.source_port, self.direction,
        )  # fmt: skip


@dataclass(frozen=True)
class Ufw:
    """UFW as it is. `loaded`: what the kernel has of its rules, by family."""

    version: str
    active: bool
    unit_enabled: bool
    unit_active: bool
    challenge: bool  # certbot runs: its hook may have opened a port
    files: dict[str, FileState | None]
    rules: tuple[UfwRule, ...]
    framework_changed: tuple[str, ...]  # of FRAMEWORK, not as the package ships them
    policies: dict[int, str]  # of the kernel's INPUT chain, by family
    loaded: dict[int, tuple[str, ...]]

    @property
    def installed(self) -> bool:
        return bool(self.version)

    def default(self, name: str) -> str:
        """A value of /etc/default/ufw or ufw.conf, without quotes; "": not set."""
        for path in (DEFAULTS, CONF):
            file = self.files.get(path)
            found = re.findall(rf"^{name}=(.*)$", file.text if file else "", re.MULTILINE)
            if found:
                return str(found[-1]).strip().strip("\"'")
        return ""


_EVERYWHERE = ("0.0.0.0/0", "::/0")


def read_rules(text: str, family: int) -> list[UfwRule]:
    """The rules of user.rules or user6.rules. Raises UnreadableAnswer."""
    found = []
    for line in re.findall(r"^### tuple ### (.*)$", text, re.MULTILINE):
        words = line.split()
        comment = ""
        if words[-1].startswith("comment="):
            comment = _comment(words.pop().removeprefix("comment="))
        if len(words) not in (7, 9):
            raise UnreadableAnswer("not a rule of UFW", line[:160])
        action, protocol, port, destination, source_port, source = words[:6]
        found.append(
            UfwRule(
                family, action, protocol, port, _network(source), _network(destination),
                source_port, words[-1], comment,
            )
        )  # fmt: skip
    return found


def _comment(text: str) -> str:
    try:
        return bytes.fromhex(text).decode(errors="replace")
    except ValueError:
        raise UnreadableAnswer("not a comment of UFW", text[:80]) from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise UnreadableAnswer("not a network in a rule of UFW", text[:80]) from None


def _read(answer: ShellAnswer) -> Ufw:
    found: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        word, _, rest = line.partition(" ")
        found.setdefault(word, []).append(rest)
    if "absent" in found:
        return Ufw("", False, False, False, False, {}, (), (), {}, {})
    files = dict[str, FileState | None].fromkeys(FILES)
    try:
        for line in found.get("file", ()):
            path, mode, owner, group, *content = line.split(" ")
            text = base64.b64decode(content[0] if content else "").decode(errors="replace")
            files[path] = FileState(text, mode.zfill(4), owner, group)
        enabled, running = found["unit"][0].split(" ")
        rules = [
            rule
            for family, path in ((4, RULES4), (6, RULES6))
            if (file := files[path]) is not None
            for rule in read_rules(file.text, family)
        ]
        return Ufw(
            version=found["version"][0].removeprefix("ufw "),
            active=found["status"][0] == "active",
            unit_enabled=enabled == "enabled",
            unit_active=running == "active",
            challenge=found["challenge"][0] != "0",
            files=files,
            rules=tuple(rules),
            framework_changed=tuple(found.get("framework", ())),
            policies={_family(line): line.split(" ")[1] for line in found.get("policy", ())},
            loaded={
                family: tuple(
                    line.split(" ", 1)[1]
                    for line in found.get("loaded", ())
                    if _family(line) == family
                )
                for family in (4, 6)
            },
        )
    except (KeyError, IndexError, ValueError) as error:
        raise UnreadableAnswer("not what is asked of UFW", repr(error)) from None


def _family(line: str) -> int:
    return 6 if line.startswith("ip6tables ") else 4


UFW: Fact[Ufw] = Fact("ufw", ShellQuestion(("sh", "-c", _SCRIPT), sudo=True), _read)
