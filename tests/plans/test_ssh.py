"""SSH by key alone: a drop-in that wins, whatever other hands wrote; nobody locked out."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from chronos_ops.facts.sshd import DIRECTORY, MAIN, SSHD, Sshd
from chronos_ops.model.plan import RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.settings import Settings
from chronos_ops.plans.ssh import PATH, beaten_by, drop_in, plan
from chronos_ops.plans.ssh_wanted import wanted_values, wrong_values
from tests.recorded_cases import example_settings

DEBIAN = f"Include {DIRECTORY}/*.conf\nKbdInteractiveAuthentication no\nX11Forwarding yes\n"
DEFAULTS = """\
port 22
logingracetime 120
maxauthtries 6
permitrootlogin without-password
pubkeyauthentication yes
passwordauthentication yes
kbdinteractiveauthentication no
permitemptypasswords no
x11forwarding yes
loglevel INFO
kexalgorithms curve25519-sha256,ecdh-sha2-nistp256
ciphers aes128-ctr,aes256-gcm@openssh.com
macs hmac-sha1
hostkeyalgorithms ecdsa-sha2-nistp256,ssh-ed25519
allowtcpforwarding yes
hostkey /etc/ssh/ssh_host_rsa_key
hostkey /etc/ssh/ssh_host_ecdsa_key
hostkey /etc/ssh/ssh_host_ed25519_key
"""
KEYS = {
    "/etc/ssh/ssh_host_rsa_key": "3072 SHA256:n/sL root@vm (RSA)",
    "/etc/ssh/ssh_host_ecdsa_key": "256 SHA256:504h root@vm (ECDSA)",
    "/etc/ssh/ssh_host_ed25519_key": "256 SHA256:VYNf root@vm (ED25519)",
}
KNOWN = {
    "kex": "curve25519-sha256 sntrup761x25519-sha512@openssh.com ecdh-sha2-nistp256",
    "cipher": "aes128-ctr aes256-gcm@openssh.com chacha20-poly1305@openssh.com",
    "mac": "hmac-sha1 hmac-sha2-256-etm@openssh.com",
    "HostKeyAlgorithms": "ssh-ed25519 rsa-sha2-512",
}


def quoted(text: str) -> str:
    return "".join(f"|{line}\n" for line in text.splitlines())


def look(
    files: Mapping[str, str],
    *,
    config: str = DEFAULTS,
    status: int = 0,
    contexts: Mapping[str, str] | None = None,
    keys: Mapping[str, str] = KEYS,
    version: str = "OpenSSH_9.2p1",
    service: str = "active",
    socket: str = "inactive",
    loaded: int = 2000,
    changed: int = 1000,
    moduli: str = "432 60",
    operator: str = "admin admin sudo",
) -> Sshd:
    """What the parser makes of the look's text."""
    text = f"@@ version\n|{version}\n@@ status\n|{status}\n@@ config\n{quoted(config)}"
    for path, body in files.items():
        text += f"@@ file {path} {changed} 644\n{quoted(body)}"
    for name, body in (contexts or {}).items():
        text += f"@@ context {name}\n{quoted(body)}"
    for path, body in keys.items():
        text += f"@@ key {path}\n|{body}\n"
    text += f"@@ moduli\n|{moduli}\n"
    for kind, words in KNOWN.items():
        text += f"@@ known {kind}\n{quoted(words.replace(' ', chr(10)))}"
    text += f"@@ service\n|{service}\n@@ socket\n|{socket}\n@@ loaded\n|{loaded}\n"
    text += f"@@ operator\n|{operator}\n@@ end\n"
    return SSHD.parse(ShellAnswer(0, text))


@pytest.fixture
def settings() -> Settings:
    return example_settings()


def applied(settings: Settings, files: Mapping[str, str]) -> Sshd:
    """The host after the plan: what is wanted is in effect."""
    first = look(files)
    lines = [line for line in DEFAULTS.splitlines() if not line.startswith("hostkey ")]
    values = dict(line.split(" ", 1) for line in lines)
    values |= {k.lower(): v for k, v in wanted_values(settings, first).items()}
    config = "".join(f"{k} {v}\n" for k, v in values.items())
    config += "hostkey /etc/ssh/ssh_host_rsa_key\nhostkey /etc/ssh/ssh_host_ed25519_key\n"
    return look({**files, PATH: drop_in(settings, first)}, config=config, moduli="372 0")


def test_a_fresh_host_gets_a_guarded_drop_in_with_an_exact_undo(settings: Settings) -> None:
    found = plan(settings, {"sshd": look({MAIN: DEBIAN})})
    assert not found.refusals
    assert [change.id for change in found.changes] == ["ssh.drop-in", "ssh.moduli"]
    change = found.changes[0]
    assert change.guard
    assert RemoveFile(path=PATH) in change.undo
    assert all(isinstance(deed, RunCommand | WriteFile | RemoveFile) for deed in change.undo)
    assert not [d for d in change.deeds if isinstance(d, WriteFile) and d.path == MAIN]
    text = drop_in(settings, look({MAIN: DEBIAN}))
    for line in (
        "PermitRootLogin no",
        "PasswordAuthentication no",
        "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256",
        "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
        "MACs hmac-sha2-256-etm@openssh.com",
        "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256,ssh-ed25519",
        "HostKey /etc/ssh/ssh_host_ed25519_key",
    ):
        assert line in text.splitlines()
    assert "ecdsa" not in text
    # this sshd does not know them
    assert "PerSourcePenalty" not in text
    assert "DebianBanner" not in text


def test_after_it_nothing_is_left_to_do(settings: Settings) -> None:
    found = plan(settings, {"sshd": applied(settings, {MAIN: DEBIAN})})
    assert found.empty
    assert not found.refusals
    assert PATH in found.noop_reason


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({MAIN: "PasswordAuthentication yes\n"}, "does not include"),
        ({MAIN: f"PermitRootLogin yes\n{DEBIAN}"}, "sshd_config:1 PermitRootLogin yes"),
        ({MAIN: f"Match User a\n  Include {DIRECTORY}/*.conf\n"}, "does not include"),
        (
            {MAIN: DEBIAN, f"{DIRECTORY}/00-a.conf": "PasswordAuthentication yes\n"},
            "00-a.conf:1 PasswordAuthentication yes",
        ),
        (
            {MAIN: DEBIAN, f"{DIRECTORY}/00-a.conf": "# x\n  Match User b\n  X11Forwarding yes\n"},
            "00-a.conf has Match blocks",
        ),
    ],
)
def test_what_sshd_would_read_first_is_named_and_read_later(
    settings: Settings, files: dict[str, str], named: str
) -> None:
    sshd = look(files)
    assert any(named in line for line in beaten_by(sshd, drop_in(settings, sshd)))
    change = plan(settings, {"sshd": sshd}).changes[0]
    [main] = [d for d in change.deeds if isinstance(d, WriteFile) and d.path == MAIN]
    assert main.content.splitlines()[1] == f"Include {PATH}"
    assert main.content.endswith(files[MAIN])
    assert WriteFile(path=MAIN, content=files[MAIN], mode="0644") in change.undo
    again = look({**files, MAIN: main.content, PATH: drop_in(settings, sshd)})
    assert not beaten_by(again, drop_in(settings, again))


def test_a_later_drop_in_changes_nothing(settings: Settings) -> None:
    files = {MAIN: DEBIAN, f"{DIRECTORY}/50-cloud-init.conf": "PasswordAuthentication yes\n"}
    assert not beaten_by(look(files), drop_in(settings, look(files)))
    assert plan(settings, {"sshd": applied(settings, files)}).empty


def test_a_match_block_that_opens_a_door_is_seen(settings: Settings) -> None:
    there = {"user=backup,addr=203.0.113.250": "passwordauthentication yes\n"}
    sshd = look({MAIN: DEBIAN}, contexts=there)
    assert "PasswordAuthentication yes (for user=backup,addr=203.0.113.250)" in wrong_values(
        settings, sshd
    )
    text = drop_in(settings, sshd)
    assert "Match all\n    PermitRootLogin no\n    PasswordAuthentication no\n" in text


def test_a_database_reached_by_tunnel_keeps_local_forwarding(settings: Settings) -> None:
    postgres = settings.postgres.model_copy(update={"connect": "ssh_tunnel"})
    tunnel = settings.model_copy(update={"postgres": postgres})
    assert "AllowTcpForwarding local" in drop_in(tunnel, look({MAIN: DEBIAN}))
    assert "AllowTcpForwarding no" in drop_in(settings, look({MAIN: DEBIAN}))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"config": DEFAULTS + "allowusers deploy\nallowusers bob\n"}, "AllowUsers deploy bob"),
        ({"config": DEFAULTS + "denyusers adm*\n"}, "DenyUsers"),
        ({"config": DEFAULTS + "allowgroups ssh-users\n"}, "AllowGroups"),
        ({"config": DEFAULTS + "denygroups sudo\n"}, "DenyGroups"),
        ({"config": "line 3: Bad configuration option", "status": 255}, "would not start"),
        ({"keys": {"/etc/ssh/ssh_host_rsa_key": "2048 SHA256:x root@vm (RSA)"}}, "RSA 2048"),
    ],
)
def test_a_reload_that_would_lock_out_is_refused(
    settings: Settings, changed: dict[str, str], named: str
) -> None:
    host = settings.host.model_copy(update={"user": "admin"})
    mine = settings.model_copy(update={"host": host})
    found = plan(mine, {"sshd": look({MAIN: DEBIAN}, **changed)})  # type: ignore[arg-type]
    assert found.empty
    assert named in found.refusals[0]


def test_who_is_admitted_by_a_pattern_is_not_locked_out(settings: Settings) -> None:
    user = settings.host.user
    sshd = look({MAIN: DEBIAN}, config=DEFAULTS + f"allowusers bob {user}@10.*\n")
    assert not plan(settings, {"sshd": sshd}).refusals


def test_files_that_were_never_loaded_are_loaded(settings: Settings) -> None:
    done = applied(settings, {MAIN: DEBIAN})
    late = [file.path for file in done.files]
    assert late
    stale = look(
        done.texts,
        config="".join(f"{k} {v}\n" for k, vs in done.effective.items() for v in vs),
        moduli="372 0",
        changed=3000,
    )
    assert stale.stale
    assert [c.id for c in plan(settings, {"sshd": stale}).changes] == ["ssh.reload"]


def test_a_socket_activated_sshd_reads_its_files_for_every_caller(settings: Settings) -> None:
    """Ubuntu 24.04 as its cloud image comes: constructed, never run."""
    files = {
        MAIN: DEBIAN,
        f"{DIRECTORY}/50-cloud-init.conf": "PasswordAuthentication no\n",
        f"{DIRECTORY}/60-cloudimg-settings.conf": "PasswordAuthentication no\n",
    }
    sshd = look(files, version="OpenSSH_9.6p1", service="inactive", socket="active", changed=9000)
    assert not sshd.stale
    change = plan(settings, {"sshd": sshd}).changes[0]
    reload = change.deeds[-1]
    assert isinstance(reload, RunCommand)
    assert "is-active --quiet ssh.service" in reload.argv[2]
    assert "mkdir -m 0755 /run/sshd" in reload.argv[2]


def test_weak_host_keys_are_left_out(settings: Settings) -> None:
    keys = {**KEYS, "/etc/ssh/ssh_host_rsa_key": "2048 SHA256:x root@vm (RSA)"}
    text = drop_in(settings, look({MAIN: DEBIAN}, keys=keys))
    assert "rsa" not in text.lower()
    assert "HostKeyAlgorithms ssh-ed25519\n" in text


@pytest.mark.parametrize(
    ("now", "copied", "restored"),
    [
        ("strong", "strong weak", "strong weak"),  # what was made from the copy
        ("strong weak", "older weak", "strong weak"),  # nothing was filtered: the copy is stale
        ("strong", None, "strong"),
    ],
)
def test_prime_numbers_are_put_back_from_their_own_copy_alone(
    settings: Settings, tmp_path: Path, now: str, copied: str | None, restored: str
) -> None:
    bits = {"strong": 4095, "older": 8191, "weak": 2047}

    def text(words: str) -> str:
        return "# moduli\n" + "".join(f"20 2 6 100 {bits[w]} 2 {w}\n" for w in words.split())

    moduli = tmp_path / "moduli"
    moduli.write_text(text(now))
    if copied is not None:
        Path(f"{moduli}.before-chronos").write_text(text(copied))
    (deed,) = plan(settings, {"sshd": look({MAIN: DEBIAN})}).changes[1].undo
    assert isinstance(deed, RunCommand)
    script = deed.argv[-1].replace("/etc/ssh/moduli", str(moduli))
    subprocess.run(["sh", "-c", script], check=True)
    assert moduli.read_text() == text(restored)
