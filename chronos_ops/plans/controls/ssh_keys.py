"""Controls of the ways in by SSH key: files, commands, authorities, the keys themselves (H3)."""

from chronos_ops.facts.ssh_access import (
    AUTHORITIES,
    KEY_COMMAND,
    KEY_FILE,
    PRINCIPALS_COMMAND,
    PRINCIPALS_FILE,
    AuthorizedKey,
    SshAccess,
    Way,
)
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.finding import Status
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

_USUAL = (".ssh/authorized_keys", ".ssh/authorized_keys2")  # sshd's own default
_MANUAL = "sshd_config(5) "


def keys_known(judge: Judge) -> Judge:
    """A judge of keys: where a file could not be read, only a failure is known, never a pass."""

    def known(settings: Settings, values: Values) -> Verdict:
        verdict = judge(settings, values)
        unread = values["ssh_access"].unread
        if verdict.status is Status.FAIL or not unread:
            return verdict
        said = f"{verdict.observed}; not read: {', '.join(unread[:4])}"
        return Verdict(Status.UNKNOWN, said, verdict.expected)

    return known


def keys_of(values: Values, account: str) -> list[AuthorizedKey]:
    """The keys that open an account."""
    access: SshAccess = values["ssh_access"]
    return [key for key in access.keys if key.account == account]


def _places(settings: Settings, values: Values) -> Verdict:
    access: SshAccess = values["ssh_access"]
    declared = (*_USUAL, *settings.hardening.ssh.key_files)

    def undeclared(way: Way) -> list[str]:
        return [word for word in way.value.split() if word.removeprefix("%h/") not in declared]

    wrong = [way.shown for way in access.by(KEY_FILE, PRINCIPALS_FILE) if undeclared(way)]
    return none_of(wrong, f"{' or '.join(declared)} alone")


def _commands(settings: Settings, values: Values) -> Verdict:
    access: SshAccess = values["ssh_access"]
    declared = settings.hardening.ssh.commands
    found = access.by(KEY_COMMAND, PRINCIPALS_COMMAND)
    wrong = [way.shown for way in found if way.value not in declared]
    return none_of(wrong, " or ".join(declared) or "no program is asked for keys")


def _authorities(settings: Settings, values: Values) -> Verdict:
    access: SshAccess = values["ssh_access"]
    declared = settings.hardening.ssh.authorities
    found = [*access.authorities, *(key for key in access.keys if key.authority)]
    wrong = [
        f"{key.fingerprint} {key.comment} in {key.file}"
        for key in found
        if key.fingerprint not in declared
    ]
    read = {key.file for key in access.authorities}
    wrong += [
        f"{way.shown}: no key in it" for way in access.by(AUTHORITIES) if way.value not in read
    ]
    return none_of(dict.fromkeys(wrong), " or ".join(declared) or "no certificate opens an account")


def _started(_: Settings, values: Values) -> Verdict:
    access: SshAccess = values["ssh_access"]
    options = [word for word in access.started.split() if word.startswith(("-o", "-f"))]
    return judged(not options, access.started, "no option of its own: its files say all")


def _allowed(settings: Settings, values: Values) -> Verdict:
    """AllowUsers or AllowGroups; without them, keys are what lets an account in."""
    found = {k: values["sshd"].get(k, []) for k in ("allowusers", "allowgroups")}
    said = " ".join(f"{k} {' '.join(v)}" for k, v in found.items() if v)
    access: SshAccess = values["ssh_access"]
    opened = sorted({key.account for key in access.keys})
    known = ("root", "postgres", settings.host.user)  # the first two have controls of their own
    others = [name for name in opened if name not in known]
    return judged(
        bool(said) or not others,
        said or f"keys open {', '.join(opened) or 'no account'}",
        f"{settings.host.user} alone, or AllowUsers or AllowGroups",
    )


def _key_strength(_: Settings, values: Values) -> Verdict:
    access: SshAccess = values["ssh_access"]
    keys = (*access.keys, *access.authorities)
    weak = [
        f"{k.account}: {k.kind} {k.bits} {k.comment}"
        for k in keys
        if k.kind == "DSA" or (k.kind == "RSA" and k.bits < 2048)
    ]
    return none_of(weak, f"no DSA key and no RSA key below 2048 bits among {len(keys)}")


def _root_keys(_: Settings, values: Values) -> Verdict:
    if values["sshd_root"].get("permitrootlogin") == ["no"]:
        return not_applicable("root cannot log in at all", "no key opens root's account")
    return keys_known(
        lambda _, seen: none_of(
            [key.fingerprint for key in keys_of(seen, "root")], "no key opens root's account"
        )
    )(_, values)


CONTROLS: tuple[Control, ...] = (
    control(
        "ssh.key-files",
        "Keys are read from ~/.ssh/authorized_keys, for everybody",
        f"{_MANUAL}AuthorizedKeysFile, AuthorizedPrincipalsFile",
        "ssh_access",
        keys_known(_places),
        "take the line out of sshd's files (`sshd -T -C user=NAME`), its keys are in access.md; or "
        "declare it in hardening.ssh.key_files",
    ),
    control(
        "ssh.key-commands",
        "No program gives sshd keys that nobody sees",
        f"{_MANUAL}AuthorizedKeysCommand, AuthorizedPrincipalsCommand",
        "ssh_access",
        keys_known(_commands),
        "take the line out of sshd's files; or declare it in hardening.ssh.commands",
    ),
    control(
        "ssh.authorities",
        "No certificate of an undeclared authority opens an account",
        f"{_MANUAL}TrustedUserCAKeys; sshd(8) cert-authority",
        "ssh_access",
        keys_known(_authorities),
        "take TrustedUserCAKeys out of sshd's files, cert-authority lines out of key files; or "
        "declare the fingerprint in hardening.ssh.authorities (Lightsail's browser SSH has one)",
    ),
    control(
        "ssh.command-line",
        "sshd's files say all that it does",
        "sshd(8) -o, -f",
        "ssh_access",
        _started,
        "take the options out of /etc/default/ssh and of the drop-ins of ssh.service "
        "(`systemctl cat ssh`; the package ec2-instance-connect has one); restart ssh",
    ),
    control(
        "ssh.allowed-users",
        "Only known accounts may log in",
        f"{CIS} 5.1.4",
        "sshd ssh_access",
        keys_known(_allowed),
        "remove the key, or name the accounts in AllowUsers",
    ),
    control(
        "ssh.authorized-key-strength",
        "Every key that opens an account is strong",
        "ssh-keygen(1) -b; NIST SP 800-57 part 1, table 2",
        "ssh_access",
        keys_known(_key_strength),
        "replace the key by an ed25519 one",
    ),
    control(
        "ssh.root-keys",
        "No key opens root's account",
        "sshd_config(5) PermitRootLogin",
        "sshd_root ssh_access",
        _root_keys,
        "empty /root/.ssh/authorized_keys",
    ),
)
