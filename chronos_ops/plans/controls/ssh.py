"""Controls of the SSH server, judged from `sshd -T`: drop-ins and Match blocks included (H3)."""

from chronos_ops.facts.audit_access import Options
from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import (
    CIS,
    Judge,
    Values,
    control,
    judged,
    none_of,
    number,
)

_STAGE = "stage `ssh` writes a drop-in that is read first; `sshd -T` shows what wins"
_BOTH = "sshd sshd_root"

# What ssh-audit 3.3 calls a failure, and what CIS 5.1.6, 5.1.12 and 5.1.15 list as weak.
_WEAK = {
    "ciphers": ("3des", "-cbc", "arcfour", "blowfish", "cast128", "rijndael"),
    "macs": ("md5", "hmac-sha1", "umac-64", "ripemd"),
    "kexalgorithms": ("-sha1", "ecdh-sha2-nistp", "group1-"),
    "hostkeyalgorithms": ("ssh-dss", "ecdsa-sha2-nistp"),
}


def _value(options: Options, name: str) -> str:
    return options.get(name, [""])[0]


def _is(name: str, *wanted: str, absent: bool = False) -> Judge:
    """The option has a wanted value, for the operator and for root, from outside."""

    def judge(_: Settings, values: Values) -> Verdict:
        seen = {_value(values["sshd"], name), _value(values["sshd_root"], name)}
        good = all(value in wanted or (absent and not value) for value in seen)
        return judged(good, f"{name} {' / '.join(sorted(seen))}", f"{name} {' or '.join(wanted)}")

    return judge


def _between(name: str, low: int, high: int) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        seen = number(_value(values["sshd"], name))
        good = seen is not None and low <= seen <= high
        return judged(good, f"{name} {seen}", f"{low} to {high}")

    return judge


def _strong(name: str) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        offered = _value(values["sshd"], name).split(",")
        weak = [a for a in offered if a == "ssh-rsa" or any(part in a for part in _WEAK[name])]
        return none_of(weak, f"no weak algorithm among the {len(offered)} offered")

    return judge


def _alive(_: Settings, values: Values) -> Verdict:
    interval = number(_value(values["sshd"], "clientaliveinterval")) or 0
    count = number(_value(values["sshd"], "clientalivecountmax")) or 0
    good = interval > 0 and count > 0 and interval * count <= 1800
    return judged(
        good, f"{interval} s, {count} times", "a dead client is dropped within 30 minutes"
    )


def _startups(_: Settings, values: Values) -> Verdict:
    seen = _value(values["sshd"], "maxstartups")
    limits = [number(part) for part in seen.split(":")]
    good = len(limits) == 3 and all(
        limit is not None and limit <= most
        for limit, most in zip(limits, (10, 30, 60), strict=True)
    )
    return judged(good, seen, "at most 10:30:60")


def _banner(_: Settings, values: Values) -> Verdict:
    seen = _value(values["sshd"], "banner")
    return judged(seen not in ("", "none"), f"banner {seen or 'none'}", "a file")


def _forwarding(settings: Settings, values: Values) -> Verdict:
    wanted = ("no",) if settings.postgres.connect == "tcp" else ("no", "local")
    options: Options = values["sshd"]
    tcp = _value(options, "allowtcpforwarding")
    x11, agent = _value(options, "x11forwarding"), _value(options, "allowagentforwarding")
    off = _value(options, "disableforwarding") == "yes"
    good = off or (tcp in wanted and x11 == "no" and agent == "no")
    return judged(
        good, f"tcp {tcp}, x11 {x11}, agent {agent}", f"tcp {' or '.join(wanted)}, rest no"
    )


def _config_files(_: Settings, values: Values) -> Verdict:
    modes: dict[str, FileMode] = values["modes"]
    wrong = [
        f"{m.path} {m.mode:o} {m.owner}"
        for m in modes.values()
        if m.path.startswith("/etc/ssh/sshd_config") and (m.mode & 0o077 or m.owner != "root")
    ]
    return none_of(wrong, "root's alone (0600)")


def _host_keys(_: Settings, values: Values) -> Verdict:
    modes: dict[str, FileMode] = values["modes"]
    keys = [m for m in modes.values() if m.path.startswith("/etc/ssh/ssh_host_")]
    wrong = [
        f"{m.path} {m.mode:o} {m.owner}"
        for m in keys
        if m.owner != "root" or m.mode & (0o022 if m.path.endswith(".pub") else 0o077)
    ]
    if not keys:
        return judged(False, "no host key", "host keys, private ones root's alone")
    return none_of(wrong, "private keys 0600, public ones 0644, root's")


def _key_files(_: Settings, values: Values) -> Verdict:
    wrong = [
        f"{m.path} {m.mode:o}"
        for m in values["homes"].values()
        if "/.ssh" in m.path and m.mode & 0o077
    ]
    return none_of(wrong, "~/.ssh 0700, authorized_keys 0600")


def _grace(settings: Settings, values: Values) -> Verdict:
    return _between("logingracetime", 1, 60)(settings, values)


def _user_environment(settings: Settings, values: Values) -> Verdict:
    return _is("permituserenvironment", "no")(settings, values)


CONTROLS: tuple[Control, ...] = (
    control(
        "ssh.password-authentication",
        "No passwords over SSH",
        "sshd_config(5) PasswordAuthentication; requirement H3",
        _BOTH,
        _is("passwordauthentication", "no"),
        _STAGE,
    ),
    control(
        "ssh.keyboard-interactive",
        "No keyboard-interactive logins",
        "sshd_config(5) KbdInteractiveAuthentication; requirement H3",
        _BOTH,
        _is("kbdinteractiveauthentication", "no"),
        _STAGE,
    ),
    control(
        "ssh.root-login",
        "Root cannot log in",
        f"{CIS} 5.1.20",
        _BOTH,
        _is("permitrootlogin", "no"),
        _STAGE,
    ),
    control(
        "ssh.empty-passwords",
        "Empty passwords open nothing",
        f"{CIS} 5.1.19",
        _BOTH,
        _is("permitemptypasswords", "no"),
        _STAGE,
    ),
    control(
        "ssh.host-based",
        "No host-based logins",
        f"{CIS} 5.1.10",
        _BOTH,
        _is("hostbasedauthentication", "no"),
        _STAGE,
    ),
    control(
        "ssh.rhosts",
        "rhosts files are ignored",
        f"{CIS} 5.1.11",
        _BOTH,
        _is("ignorerhosts", "yes"),
        _STAGE,
    ),
    control(
        "ssh.gssapi",
        "No GSSAPI logins",
        f"{CIS} 5.1.9",
        _BOTH,
        _is("gssapiauthentication", "no", absent=True),
        _STAGE,
    ),
    control(
        "ssh.user-environment",
        "Users do not set the environment of their login",
        f"{CIS} 5.1.21",
        _BOTH,
        _user_environment,
        _STAGE,
    ),
    control("ssh.use-pam", "PAM is asked", f"{CIS} 5.1.22", _BOTH, _is("usepam", "yes"), _STAGE),
    control(
        "ssh.ciphers",
        "No weak cipher is offered",
        f"{CIS} 5.1.6",
        "sshd",
        _strong("ciphers"),
        _STAGE,
    ),
    control("ssh.macs", "No weak MAC is offered", f"{CIS} 5.1.15", "sshd", _strong("macs"), _STAGE),
    control(
        "ssh.kex",
        "No weak key exchange is offered",
        f"{CIS} 5.1.12",
        "sshd",
        _strong("kexalgorithms"),
        _STAGE,
    ),
    control(
        "ssh.host-key-algorithms",
        "No weak host key algorithm is offered",
        "sshd_config(5) HostKeyAlgorithms; ssh-audit",
        "sshd",
        _strong("hostkeyalgorithms"),
        _STAGE,
    ),
    control(
        "ssh.max-auth-tries",
        "Few attempts a connection",
        f"{CIS} 5.1.16",
        "sshd",
        _between("maxauthtries", 1, 4),
        _STAGE,
    ),
    control(
        "ssh.login-grace-time",
        "A login must not take long",
        f"{CIS} 5.1.13",
        "sshd",
        _grace,
        _STAGE,
    ),
    control("ssh.client-alive", "Dead clients are dropped", f"{CIS} 5.1.7", "sshd", _alive, _STAGE),
    control(
        "ssh.max-startups",
        "Unauthenticated connections are limited",
        f"{CIS} 5.1.18",
        "sshd",
        _startups,
        _STAGE,
    ),
    control(
        "ssh.max-sessions",
        "Sessions a connection are limited",
        f"{CIS} 5.1.17",
        "sshd",
        _between("maxsessions", 1, 10),
        _STAGE,
    ),
    control(
        "ssh.log-level",
        "Logins are logged with their key",
        f"{CIS} 5.1.14",
        _BOTH,
        _is("loglevel", "VERBOSE", "INFO"),
        _STAGE,
    ),
    control(
        "ssh.banner", "A warning is shown before the login", f"{CIS} 5.1.5", "sshd", _banner, _STAGE
    ),
    control(
        "ssh.forwarding",
        "Nothing is forwarded through the host",
        f"{CIS} 5.1.8",
        "sshd",
        _forwarding,
        _STAGE,
    ),
    control(
        "ssh.config-files",
        "sshd's configuration is root's alone",
        f"{CIS} 5.1.1",
        "modes",
        _config_files,
        "stage `baseline`: chmod 0600",
    ),
    control(
        "ssh.host-key-files",
        "Private host keys are root's alone",
        f"{CIS} 5.1.2, 5.1.3",
        "modes",
        _host_keys,
        "chmod 0600 /etc/ssh/ssh_host_*_key",
    ),
    control(
        "ssh.authorized-key-files",
        "Key files are their owner's alone",
        f"{CIS} 7.2.10",
        "homes",
        _key_files,
        "chmod 0700 ~/.ssh; chmod 0600 ~/.ssh/authorized_keys",
    ),
)
