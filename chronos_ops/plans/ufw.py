"""The host's own firewall: nothing comes in but what is declared, IPv4 and IPv6 (H1, H9)."""

import ipaddress
import re
from typing import Any

from chronos_ops.facts.certbot import CHALLENGE
from chronos_ops.facts.files import FileState
from chronos_ops.facts.ufw import DEFAULTS, FILES, RULES4, RULES6, UFW, Ufw, UfwRule
from chronos_ops.model.hardening import ANYWHERE
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.firewall_wanted import HTTP, doors

NAME = "host-firewall"
POLICIES = {
    "IPV6": "yes",
    "DEFAULT_INPUT_POLICY": "DROP",
    "DEFAULT_OUTPUT_POLICY": "ACCEPT",
    "DEFAULT_FORWARD_POLICY": "DROP",
}

# As the package ships them; UFW puts its logging in when it starts.
_HEAD4 = """*filter
:ufw-user-input - [0:0]
:ufw-user-output - [0:0]
:ufw-user-forward - [0:0]
:ufw-user-limit - [0:0]
:ufw-user-limit-accept - [0:0]
### RULES ###
"""
_TAIL4 = """
### END RULES ###
-A ufw-user-limit -m limit --limit 3/minute -j LOG --log-prefix "[UFW LIMIT BLOCK] "
-A ufw-user-limit -j REJECT
-A ufw-user-limit-accept -j ACCEPT
COMMIT
"""
_HEAD6 = """*filter
:ufw6-user-input - [0:0]
:ufw6-user-output - [0:0]
:ufw6-user-forward - [0:0]
### RULES ###
"""
_TAIL6 = "\n### END RULES ###\nCOMMIT\n"

_LOAD = r"""
set -eu
if ufw status | grep -q '^Status: active'; then ufw reload; else ufw --force enable; fi
ufw status verbose | grep -q '^Logging: on' || ufw logging low
systemctl enable --quiet ufw.service
systemctl is-active --quiet ufw.service || systemctl start ufw.service
"""
_LOAD_AGAIN = (
    "if ufw status | grep -q '^Status: active'; then ufw reload; else ufw --force enable; fi"
)


def facts(_: Settings) -> dict[str, Fact[Any]]:
    """UFW as it is."""
    return {"ufw": UFW}


def wanted_rules(settings: Settings) -> tuple[UfwRule, ...]:
    """One rule for each door, family and network."""
    return tuple(
        _rule(door.port, network, f"chronos-ops: {door.purpose}")
        for door in doors(settings)
        for network in door.networks
    )


def _rule(port: int, network: str, comment: str) -> UfwRule:
    version = ipaddress.ip_network(network).version
    everywhere = "0.0.0.0/0" if version == 4 else "::/0"
    return UfwRule(version, "allow", "tcp", str(port), network, everywhere, "any", "in", comment)


# What certbot's hook puts in, and takes out again (`acme-port`): never written by a plan.
CHALLENGE_RULES = tuple(_rule(HTTP, network, CHALLENGE) for network in ANYWHERE)


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """One change, guarded: rules, defaults, running now and at boot."""
    ufw: Ufw = values["ufw"]
    if not ufw.installed:
        return Plan(name=NAME, refusals=("UFW is not installed: apt-get install ufw",))
    under_way = ufw.challenge and any(r.comment == CHALLENGE for r in ufw.rules)
    wanted = wanted_rules(settings)
    wrong = wrong_with(ufw, (*wanted, *CHALLENGE_RULES) if under_way else wanted)
    if not wrong:
        open_to = ", ".join(f"{d.port} from {', '.join(d.networks)}" for d in doors(settings))
        return Plan(name=NAME, noop_reason=f"UFW {ufw.version} lets in nothing but {open_to}")
    if under_way:  # its rule would be closed under it, or be written to stay
        refusal = "a certificate's challenge is under way on port 80: again when it is over"
        return Plan(name=NAME, refusals=(refusal,))
    change = Change(
        id="ufw.rules",
        title="let nothing into the host but what is declared",
        why="; ".join(wrong)[:600],
        deeds=(*_files(ufw, wanted), RunCommand(argv=("sh", "-c", _LOAD), timeout_seconds=60)),
        undo=_undo(ufw),
        before=_shown(ufw, ufw.rules, ufw.active),
        after=_shown(_declared(ufw), wanted, active=True),
        guard=True,
    )
    return Plan(name=NAME, changes=(change,))


def wrong_with(ufw: Ufw, wanted: tuple[UfwRule, ...]) -> list[str]:
    """What is not as declared, in words. Empty: files and kernel are."""
    have, want = {r.meaning for r in ufw.rules}, {r.meaning for r in wanted}
    wrong = [] if ufw.active else ["UFW is not active"]
    wrong += [] if ufw.unit_enabled and ufw.unit_active else ["UFW does not start at boot"]
    for name, value in POLICIES.items():
        if (seen := ufw.default(name)) != value:
            wrong.append(f"{name} is {seen or 'not set'}, not {value}")
    if ufw.default("LOGLEVEL") in ("off", ""):
        wrong.append("refused packets are not logged")
    if foreign := [r.shown for r in ufw.rules if r.meaning not in want]:
        wrong.append(f"not declared: {', '.join(foreign)}")
    if missing := [r.shown for r in wanted if r.meaning not in have]:
        wrong.append(f"missing: {', '.join(missing)}")
    if not wrong:
        wrong += _not_loaded(ufw, wanted)
    return wrong


def _not_loaded(ufw: Ufw, wanted: tuple[UfwRule, ...]) -> list[str]:
    """The files say it; does the kernel have it?"""
    wrong = []
    for family in (4, 6):
        expected = {_kernel_rule(r) for r in wanted if r.family == family}
        loaded = {re.sub(r" -m tcp\b", "", line) for line in ufw.loaded.get(family, ())}
        if loaded != expected:
            odd = ", ".join(sorted(loaded ^ expected))
            wrong.append(f"the kernel's IPv{family} rules are not those of the files: {odd}")
        if ufw.policies.get(family) != "DROP":
            seen = ufw.policies.get(family, "not known")
            wrong.append(f"the kernel's IPv{family} INPUT policy is {seen}")
    return wrong


def _kernel_rule(rule: UfwRule) -> str:
    """As `iptables -S` shows it."""
    chain = "ufw-user-input" if rule.family == 4 else "ufw6-user-input"
    source = "" if rule.source in ("0.0.0.0/0", "::/0") else f" -s {rule.source}"
    return f"{chain}{source} -p tcp --dport {rule.port} -j ACCEPT"


def rules_text(rules: tuple[UfwRule, ...], family: int) -> str:
    """The text of user.rules (4) or user6.rules (6)."""
    head, tail = (_HEAD4, _TAIL4) if family == 4 else (_HEAD6, _TAIL6)
    blocks = [
        f"\n### tuple ### {r.action} {r.protocol} {r.port} {r.destination} {r.source_port} "
        f"{r.source} {r.direction} comment={r.comment.encode().hex()}\n-A {_kernel_rule(r)}\n"
        for r in rules
        if r.family == family
    ]
    return head + "".join(blocks) + tail


def defaults_text(text: str) -> str:
    """/etc/default/ufw with our policies; all else stays."""
    for name, value in POLICIES.items():
        line = f"{name}={value}" if name == "IPV6" else f'{name}="{value}"'
        text, found = re.subn(rf"^{name}=.*$", line, text, flags=re.MULTILINE)
        if not found:
            text += ("" if not text or text.endswith("\n") else "\n") + line + "\n"
    return text


def _files(ufw: Ufw, wanted: tuple[UfwRule, ...]) -> list[Deed]:
    texts = {RULES4: rules_text(wanted, 4), RULES6: rules_text(wanted, 6)}
    defaults = ufw.files[DEFAULTS]
    before = "" if defaults is None else defaults.text
    if (after := defaults_text(before)) != before:
        texts[DEFAULTS] = after
    deeds: list[Deed] = []
    for path, text in texts.items():
        now = ufw.files[path]
        mode = now.mode if now else "0644" if path == DEFAULTS else "0640"
        deeds.append(WriteFile(path=path, content=text, mode=mode))
    return deeds


def _undo(ufw: Ufw) -> tuple[Deed, ...]:
    """The files as they were, and what follows from them: never just switched off."""
    files: list[Deed] = [_put_back(path, ufw.files[path]) for path in FILES]
    unit: list[Deed] = []
    if not ufw.unit_enabled:
        unit.append(RunCommand(argv=("systemctl", "disable", "--quiet", "ufw.service")))
    if ufw.active:
        return (*files, RunCommand(argv=("sh", "-c", _LOAD_AGAIN), timeout_seconds=60), *unit)
    off = RunCommand(argv=("ufw", "--force", "disable"), timeout_seconds=60)
    return (off, *files, *unit)


def _put_back(path: str, former: FileState | None) -> Deed:
    if former is None:
        return RemoveFile(path=path)
    return WriteFile(
        path=path, content=former.text, owner=former.owner, group=former.group, mode=former.mode
    )


def _declared(ufw: Ufw) -> dict[str, str]:
    level = ufw.default("LOGLEVEL")
    return POLICIES | {"LOGLEVEL": level if level not in ("off", "") else "low"}


def _shown(source: Ufw | dict[str, str], rules: tuple[UfwRule, ...], active: bool) -> str:
    """For the diff."""
    value = source.default if isinstance(source, Ufw) else source.__getitem__
    lines = [f"Status: {'active' if active else 'inactive'}"]
    lines += [f"{name}={value(name) or '(not set)'}" for name in (*POLICIES, "LOGLEVEL")]
    lines += sorted(rule.shown for rule in rules)
    return "\n".join(lines) + "\n"


HOST_FIREWALL = Stage(NAME, facts, plan)
