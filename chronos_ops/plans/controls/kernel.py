"""Controls of the kernel: parameters by group, modules, core dumps, AppArmor.

Each group lists what it wants; the first value is the one that the stage `baseline` sets.
"""

from dataclasses import dataclass

from chronos_ops.facts.audit_system import MODULES, Sysctl
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import (
    CIS,
    Judge,
    Values,
    control,
    judged,
    none_of,
    not_applicable,
)

_BASELINE = "stage `baseline`"
CONTAINED = "a container: its machine's kernel is not this host's to set"


@dataclass(frozen=True)
class Group:
    """Kernel parameters that are judged together, with every value that will do."""

    control: str
    title: str
    reference: str
    wanted: dict[str, tuple[str, ...]]


# A container engine routes for its containers; UFW's routed policy is judged apart.
ROUTING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")


def _each(template: str, *values: str) -> dict[str, tuple[str, ...]]:
    return {template.format(which): values for which in ("all", "default")}


GROUPS = (
    Group(
        "network.forwarding",
        "The host is no router",
        f"{CIS} 3.3.1",
        {"net.ipv4.ip_forward": ("0",), "net.ipv6.conf.all.forwarding": ("0",)},
    ),
    Group(
        "network.send-redirects",
        "No redirects are sent",
        f"{CIS} 3.3.2",
        _each("net.ipv4.conf.{}.send_redirects", "0"),
    ),
    Group(
        "network.bogus-errors",
        "Bogus ICMP errors are ignored",
        f"{CIS} 3.3.3",
        {"net.ipv4.icmp_ignore_bogus_error_responses": ("1",)},
    ),
    Group(
        "network.broadcasts",
        "Broadcast pings are ignored",
        f"{CIS} 3.3.4",
        {"net.ipv4.icmp_echo_ignore_broadcasts": ("1",)},
    ),
    Group(
        "network.accept-redirects",
        "No redirects are taken",
        f"{CIS} 3.3.5",
        {
            **_each("net.ipv4.conf.{}.accept_redirects", "0"),
            **_each("net.ipv6.conf.{}.accept_redirects", "0"),
        },
    ),
    Group(
        "network.secure-redirects",
        "Nor from gateways",
        f"{CIS} 3.3.6",
        _each("net.ipv4.conf.{}.secure_redirects", "0"),
    ),
    Group(
        "network.reverse-path",
        "Packets come from where they should",
        f"{CIS} 3.3.7",
        _each("net.ipv4.conf.{}.rp_filter", "1", "2"),
    ),
    Group(
        "network.source-routes",
        "No source-routed packets",
        f"{CIS} 3.3.8",
        {
            **_each("net.ipv4.conf.{}.accept_source_route", "0"),
            **_each("net.ipv6.conf.{}.accept_source_route", "0"),
        },
    ),
    Group(
        "network.martians",
        "Impossible packets are logged",
        f"{CIS} 3.3.9",
        _each("net.ipv4.conf.{}.log_martians", "1"),
    ),
    Group(
        "network.syn-cookies",
        "SYN floods are met with cookies",
        f"{CIS} 3.3.10",
        {"net.ipv4.tcp_syncookies": ("1",)},
    ),
    Group(
        "network.router-advertisements",
        "No router advertisements by the kernel",
        f"{CIS} 3.3.11",
        _each("net.ipv6.conf.{}.accept_ra", "0"),
    ),
    Group(
        "kernel.aslr",
        "Address spaces are randomised",
        f"{CIS} 1.5.1",
        {"kernel.randomize_va_space": ("2",)},
    ),
    Group(
        "kernel.ptrace",
        "Processes do not read each other",
        f"{CIS} 1.5.2",
        {"kernel.yama.ptrace_scope": ("1", "2", "3")},
    ),
    Group(
        "kernel.suid-dumps",
        "Set-user programs dump no core",
        f"{CIS} 1.5.3",
        {"fs.suid_dumpable": ("0",)},
    ),
    Group(
        "kernel.links",
        "Links and FIFOs of others are not followed",
        "proc_sys_fs(5), protected_*",
        {
            "fs.protected_hardlinks": ("1",),
            "fs.protected_symlinks": ("1",),
            "fs.protected_fifos": ("2", "1"),
            "fs.protected_regular": ("2", "1"),
        },
    ),
    Group(
        "kernel.pointers",
        "The kernel's addresses and log are root's",
        "Linux documentation, sysctl/kernel: kptr_restrict, dmesg_restrict",
        {"kernel.kptr_restrict": ("2", "1"), "kernel.dmesg_restrict": ("1",)},
    ),
    Group(
        "kernel.bpf",
        "BPF is not for everybody",
        "Linux documentation, sysctl/kernel: unprivileged_bpf_disabled; net: bpf_jit_harden",
        {"kernel.unprivileged_bpf_disabled": ("1", "2"), "net.core.bpf_jit_harden": ("2",)},
    ),
    Group(
        "kernel.sysrq",
        "Magic keys only sync, remount and reboot",
        "Linux documentation, admin-guide/sysrq",
        {"kernel.sysrq": ("0", "16", "128", "176", "244")},
    ),
    Group(
        "kernel.perf",
        "Performance counters are not for everybody",
        "Linux documentation, sysctl/kernel: perf_event_paranoid",
        {"kernel.perf_event_paranoid": ("3", "2", "4")},
    ),
    Group(
        "kernel.line-disciplines",
        "Line disciplines load not by themselves",
        "proc(5), /proc/sys/dev/tty/ldisc_autoload",
        {"dev.tty.ldisc_autoload": ("0",)},
    ),
)
# What the baseline writes: every parameter with its first value.
SETTINGS: dict[str, str] = {
    name: values[0] for group in GROUPS for name, values in group.wanted.items()
}


def _sysctl(group: Group) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        seen: dict[str, Sysctl] = values["sysctl"]
        expected = ", ".join(f"{n} = {' or '.join(v)}" for n, v in group.wanted.items())
        here = {name: seen[name] for name in group.wanted if name in seen}
        if not here:
            return not_applicable("this kernel has no such parameter", expected)
        settable = {n: s for n, s in here.items() if s.writable or values["container"] == "none"}
        if values["container_engine"] and group.control == "network.forwarding":
            return not_applicable("a container engine routes here", expected)
        if not settable:
            return not_applicable(CONTAINED, expected)
        wrong = [f"{n} = {s.value}" for n, s in settable.items() if s.value not in group.wanted[n]]
        return none_of(wrong, expected)

    return judge


def _modules(*names: str) -> Judge:
    """None can be loaded: `install NAME /bin/false` (a blacklist alone does not stop modprobe)."""

    def judge(_: Settings, values: Values) -> Verdict:
        off = {
            words[1].replace("_", "-")
            for words in (line.split() for line in values["modules_off"])
            if words[0] == "install" and words[2].rpartition("/")[2] in ("false", "true")
        }
        loaded = {name.replace("_", "-") for name in values["modules_loaded"]}
        contained = values["container"] != "none"
        wrong = [n for n in names if n not in off]
        wrong += [f"{n} is loaded" for n in names if n in loaded and not contained]
        return none_of(wrong, f"{', '.join(names)} cannot be loaded")

    return judge


def _core_limit(_: Settings, values: Values) -> Verdict:
    hard: dict[str, str] = {}
    for line in values["core_limits"]:  # the last one wins, as in pam_limits
        who, kind, _item, value = line.split()[:4]
        if kind in ("hard", "-"):
            hard[who] = value
    wrong = [f"{who} hard core {value}" for who, value in hard.items() if value != "0"]
    if "*" not in hard:
        wrong.append("no hard limit for everybody")
    return none_of(wrong, "* hard core 0, and no wider one")


def _core_store(_: Settings, values: Values) -> Verdict:
    config: dict[str, str] = values["core_dumps"]
    seen = {key: config.get(key, "(default)") for key in ("Storage", "ProcessSizeMax")}
    good = seen == {"Storage": "none", "ProcessSizeMax": "0"}
    said = ", ".join(f"{key}={value}" for key, value in seen.items())
    return judged(good, said, "Storage=none, ProcessSizeMax=0")


def _apparmor(_: Settings, values: Values) -> Verdict:
    if values["container"] != "none":
        return not_applicable(CONTAINED, "AppArmor enabled")
    return judged(values["apparmor"] == "Y", values["apparmor"] or "not in the kernel", "enabled")


CONTROLS: tuple[Control, ...] = (
    *(
        control(
            g.control,
            g.title,
            g.reference,
            "sysctl container container_engine",
            _sysctl(g),
            _BASELINE,
        )
        for g in GROUPS
    ),
    control(
        "kernel.file-systems",
        "Unused file systems cannot be loaded",
        f"{CIS} 1.1.1.1 to 1.1.1.5, 1.1.1.8",
        "modules_off modules_loaded container",
        _modules("cramfs", "freevxfs", "hfs", "hfsplus", "jffs2", "udf"),
        _BASELINE,
    ),
    control(
        "kernel.removable-storage",
        "Removable storage cannot be attached",
        f"{CIS} 1.1.1.9; lynis USB-1000, STRG-1846",
        "modules_off modules_loaded container",
        _modules("usb-storage", "firewire-core"),
        _BASELINE,
    ),
    control(
        "network.protocols",
        "Unused protocols cannot be loaded",
        f"{CIS} 3.2.1, 3.2.2, 3.2.3, 3.2.4",
        "modules_off modules_loaded container",
        _modules("dccp", "tipc", "rds", "sctp"),
        _BASELINE,
    ),
    control(
        "kernel.core-limit",
        "No process dumps a core",
        f"{CIS} 1.5.3; limits.conf(5)",
        "core_limits",
        _core_limit,
        _BASELINE,
    ),
    control(
        "kernel.core-store",
        "systemd keeps no core",
        f"{CIS} 1.5.3; coredump.conf(5)",
        "core_dumps",
        _core_store,
        _BASELINE,
    ),
    control(
        "kernel.apparmor",
        "AppArmor is enabled",
        f"{CIS} 1.3.1.1, 1.3.1.2",
        "apparmor container",
        _apparmor,
        "apt-get install apparmor apparmor-utils; reboot",
    ),
)
UNUSED_MODULES = MODULES
