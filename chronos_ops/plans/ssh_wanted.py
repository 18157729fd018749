"""What sshd shall be set to, of what this host's OpenSSH knows (H3)."""

from collections.abc import Iterable

from chronos_ops.facts.sshd import HostKey, Sshd
from chronos_ops.model.settings import Settings

RSA_BITS = 3072

# Strongest first; each list is cut to what the host's own OpenSSH knows. Older exchanges stay, as
# the operators' clients may lack the post-quantum ones: a list of those alone locks them out.
_KEX = (
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
)
_CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "umac-128-etm@openssh.com",
)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_ED25519 = ("ssh-ed25519",)

# These hold in every Match block too: our drop-in is read first, and repeats them for all.
DOORS = {
    "PermitRootLogin": "no",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "PermitEmptyPasswords": "no",
    "PubkeyAuthentication": "yes",
    "HostbasedAuthentication": "no",
    "GSSAPIAuthentication": "no",
    "KerberosAuthentication": "no",
}
_REST = {
    "IgnoreRhosts": "yes",
    "StrictModes": "yes",
    "PermitUserEnvironment": "no",
    "X11Forwarding": "no",
    "AllowAgentForwarding": "no",
    "GatewayPorts": "no",
    "PermitTunnel": "no",
    "Compression": "no",
    "TCPKeepAlive": "no",
    "UseDNS": "no",
    "DebianBanner": "no",
    "LoginGraceTime": "30",
    "MaxAuthTries": "3",
    "MaxSessions": "4",
    "MaxStartups": "10:30:60",
    "ClientAliveInterval": "300",
    "ClientAliveCountMax": "2",
    "LogLevel": "VERBOSE",
    "Banner": "/etc/issue.net",
}


def strong_keys(keys: Iterable[HostKey]) -> list[HostKey]:
    """ED25519, and RSA of 3072 bits and more: ECDSA, DSA and short RSA keys stay unused."""
    good = [k for k in keys if k.kind == "ED25519" or (k.kind == "RSA" and k.bits >= RSA_BITS)]
    return sorted(good, key=lambda key: (key.kind != "RSA", key.path))


def wanted_values(settings: Settings, sshd: Sshd) -> dict[str, str]:
    """Keyword and value, for what this sshd knows. Host keys are apart (`strong_keys`)."""
    tunnel = settings.postgres.connect == "ssh_tunnel"
    wanted = DOORS | _REST
    wanted["AllowTcpForwarding"] = "local" if tunnel else "no"
    wanted["AllowStreamLocalForwarding"] = "local" if tunnel else "no"
    wanted["KexAlgorithms"] = _cut(_KEX, sshd, "kex")
    wanted["Ciphers"] = _cut(_CIPHERS, sshd, "cipher")
    wanted["MACs"] = _cut(_MACS, sshd, "mac")
    wanted["HostKeyAlgorithms"] = _host_key_algorithms(sshd)
    # Guesses of the operators' own network must not close the door to them (OpenSSH 9.8 on).
    wanted["PerSourcePenaltyExemptList"] = ",".join(settings.postgres.operator_networks)
    return {k: v for k, v in wanted.items() if k.lower() in sshd.effective and v}


def _cut(algorithms: tuple[str, ...], sshd: Sshd, kind: str) -> str:
    return ",".join(name for name in algorithms if name in sshd.known.get(kind, frozenset()))


def _host_key_algorithms(sshd: Sshd) -> str:
    kinds = {key.kind for key in strong_keys(sshd.keys)}
    names = (*(_RSA if "RSA" in kinds else ()), *(_ED25519 if "ED25519" in kinds else ()))
    if "hostcertificate" in sshd.effective:
        names += tuple(f"{name}-cert-v01@openssh.com" for name in names)
    return ",".join(names)


def wrong_values(settings: Settings, sshd: Sshd) -> list[str]:
    """What is in effect otherwise than wanted, for anybody, as text: `keyword value (for whom)`."""
    wanted = wanted_values(settings, sshd)
    wrong = [
        f"{keyword} {sshd.first(keyword.lower())}"
        for keyword, value in wanted.items()
        if sshd.first(keyword.lower()) != value
    ]
    loaded = set(sshd.effective.get("hostkey", ()))
    wrong += [f"HostKey {k.path} unused" for k in strong_keys(sshd.keys) if k.path not in loaded]
    for context, values in sshd.by_context.items():
        for keyword, value in DOORS.items():
            there = values.get(keyword.lower())
            if keyword in wanted and there is not None and there[0] != value:
                wrong.append(f"{keyword} {there[0]} (for {context})")
        if values.get("authenticationmethods", ("",))[0] == "none":
            wrong.append(f"AuthenticationMethods none (for {context})")
    return wrong
