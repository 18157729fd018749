"""The baseline's kernel: parameters, modules that nothing here uses, core dumps."""

import re
from collections.abc import Mapping

from chronos_ops.facts.audit_system import Sysctl
from chronos_ops.model.plan import Change, Deed, RunCommand, WriteFile
from chronos_ops.plans.controls.kernel import GROUPS, ROUTING, UNUSED_MODULES
from chronos_ops.plans.managed_file import States, file_change, put_back

# After 99-sysctl.conf: the last file wins.
SYSCTL = "/etc/sysctl.d/99-zz-chronos.conf"
UFW_SYSCTL = "/etc/ufw/sysctl.conf"
MODULES = "/etc/modprobe.d/chronos-unused.conf"
LIMITS = "/etc/security/limits.d/99-chronos.conf"
COREDUMP = "/etc/systemd/coredump.conf.d/zz-chronos.conf"
FILES = (SYSCTL, UFW_SYSCTL, MODULES, LIMITS, COREDUMP)
_HEAD = "# Written by chronos-ops: what is changed here by hand is taken back by the next run.\n"


def wanted_sysctls(seen: Mapping[str, Sysctl], *, routes: bool = False) -> dict[str, str]:
    """Parameters that this kernel has and lets us set. A stricter value that will do is kept.

    `routes`: a container engine needs forwarding, which is then left as it is.
    """
    wanted = {}
    for group in GROUPS:
        for name, values in group.wanted.items():
            if routes and name in ROUTING:
                continue
            if name in seen and seen[name].writable:
                wanted[name] = seen[name].value if seen[name].value in values else values[0]
    return wanted


def plan_kernel(seen: Mapping[str, Sysctl], states: States, *, routes: bool) -> list[Change | None]:
    """Every change of the kernel's part."""
    return [
        _sysctl(seen, wanted_sysctls(seen, routes=routes), states),
        file_change(
            "baseline.modules",
            "close modules that nothing here uses",
            "what cannot be loaded has no hole (CIS 1.1.1, 3.2)",
            MODULES,
            _HEAD + "".join(f"install {m} /bin/false\nblacklist {m}\n" for m in UNUSED_MODULES),
            states,
        ),
        file_change(
            "baseline.core-limit",
            "let no process dump a core",
            "a core of PostgreSQL holds its data (CIS 1.5.3)",
            LIMITS,
            _HEAD + "".join(f"{who} {kind} core 0\n" for who in ["*", "root"] for kind in _KINDS),
            states,
        ),
        file_change(
            "baseline.core-store",
            "let systemd keep no core",
            "a core of PostgreSQL holds its data (CIS 1.5.3)",
            COREDUMP,
            _HEAD + "[Coredump]\nStorage=none\nProcessSizeMax=0\n",
            states,
        ),
    ]


_KINDS = ("soft", "hard")


def _sysctl(seen: Mapping[str, Sysctl], wanted: Mapping[str, str], states: States) -> Change | None:
    """The drop-in, UFW's own file (which overrides it at boot), and the running kernel."""
    text = _HEAD + "".join(f"{name} = {value}\n" for name, value in sorted(wanted.items()))
    former, ufw = states[SYSCTL], states[UFW_SYSCTL]
    running = {n: v for n, v in wanted.items() if seen[n].value != v}
    deeds: list[Deed] = []
    undo: list[Deed] = []
    before, after = [], []
    if former is None or former.text != text:
        deeds.append(WriteFile(path=SYSCTL, content=text))
        undo.append(put_back(SYSCTL, states))
        before.append("" if former is None else former.text)
        after.append(text)
    if ufw is not None and (agreed := agreeing(ufw.text, wanted)) != ufw.text:
        deeds.append(
            WriteFile(
                path=UFW_SYSCTL, content=agreed, owner=ufw.owner, group=ufw.group, mode=ufw.mode
            )
        )
        undo.append(put_back(UFW_SYSCTL, states))
        before.append(ufw.text)
        after.append(agreed)
    if running:
        deeds.append(_set(running))
        undo.append(_set({name: seen[name].value for name in running}))
        before.append("".join(f"{n} = {seen[n].value}\n" for n in running))
        after.append("".join(f"{n} = {v}\n" for n, v in running.items()))
    if not deeds:
        return None
    return Change(
        id="baseline.sysctl",
        title="set kernel parameters, in UFW's file too: at boot it is applied last",
        why="no redirects, no source routes, no spoofed packets; no peeking (CIS 1.5, 3.3)",
        deeds=tuple(deeds),
        undo=tuple(undo),
        before="\n".join(before),
        after="\n".join(after),
    )


def _set(values: Mapping[str, str]) -> RunCommand:
    return RunCommand(argv=("sysctl", "-q", "-w", *(f"{n}={v}" for n, v in values.items())))


def agreeing(text: str, wanted: Mapping[str, str]) -> str:
    """UFW's sysctl file with our values where it has others (its names have slashes)."""

    def line_of(line: str) -> str:
        match = re.match(r"\s*([a-z0-9_/.-]+)\s*=\s*(\S+)", line)
        if match is None:
            return line
        name = match[1].replace("/", ".")
        return line if wanted.get(name, match[2]) == match[2] else f"{match[1]}={wanted[name]}"

    return "".join(line_of(line) + "\n" for line in text.splitlines())
