"""The lab's Let's Encrypt: pebble and its test resolver, from Debian's package of that name.

The package is in trixie only, and the operators' machine may be older: it is fetched through the
lab's own mirror, its signature checked by apt, and unpacked into the lab's state, never installed.
Pebble forgets accounts and makes a new root at each start: `root_file` is written after it.
"""

import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.lab.authority import make_authority
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.image import KEYRING, SUITE
from chronos_ops.lab.places import Places
from chronos_ops.lab.run import run

NAME = "acme.chronos-lab.internal"  # what hosts know the directory by (/etc/hosts)
PROGRAMS = ("pebble", "pebble-challtestsrv")
SERVICES = ("acme", "acme-names")
NAMES = ("automatonicai.com", "www.automatonicai.com")  # what the declared host is called
_DIRECTORY, _NAMES_UDP, _NAMES_HTTP = 14000, 8053, 8055
_ENV = {"PATH": "/usr/bin:/bin"}
_VALIDITY_SECONDS = 90 * 24 * 3600  # as Let's Encrypt


@dataclass(frozen=True)
class LabAcme:
    """Where the lab's ACME service lies on disk and on the network."""

    folder: Path
    gateway: str
    port: int = _DIRECTORY

    @property
    def directory_url(self) -> str:
        return f"https://{NAME}:{self.port}/dir"

    @property
    def management_url(self) -> str:
        return f"https://{self.gateway}:{self.port + 1000}"

    @property
    def names_url(self) -> str:
        """Where names are set: POST /add-a, /add-aaaa, /set-txt, /set-cname, /add-caa …"""
        return f"http://{self.gateway}:{_NAMES_HTTP}"

    @property
    def dns_server(self) -> str:
        return f"{self.gateway}:{_NAMES_UDP}"

    @property
    def ca_file(self) -> Path:
        """The CA of the directory's own HTTPS."""
        return self.folder / "ca.pem"

    @property
    def root_file(self) -> Path:
        """The root of what the directory issues."""
        return self.folder / "root.pem"

    @property
    def dns_hook(self) -> Path:
        """A hook for dns-01, as an operator would write one for a name service with an API."""
        return self.folder / "dns-hook"

    def settings(self) -> dict[str, object]:
        """The `hardening.certificate` section of a parameter file (model/hardening.py)."""
        return {
            "names": list(NAMES),
            "directory_url": self.directory_url,
            "directory_ca_file": str(self.ca_file),
            "trusted_ca_file": str(self.root_file),
            "dns_server": self.dns_server,
            "renewal_proof": "renew",  # nobody's rate limit
        }


def describe(user_dir: Path, gateway: str) -> LabAcme:
    """The lab's ACME service in `user_dir`/acme."""
    return LabAcme(user_dir / "acme", gateway)


def installed(state: Path) -> bool:
    """Whether the programs are there."""
    return all((_programs(state) / name).is_file() for name in PROGRAMS)


def _programs(state: Path) -> Path:
    return state / "acme" / "usr" / "bin"


def ensure(places: Places, mirror: str, progress: Callable[[str], None]) -> None:
    """Fetch and unpack the package, once; where it cannot be had, say so and go on without."""
    if installed(places.state):
        return
    progress("fetching pebble, the lab's ACME service (once, about 3 s)")
    part = places.state / f".acme-{places.lab}"
    shutil.rmtree(part, ignore_errors=True)
    try:
        _fetch(part, mirror)
        (part / "tree").replace(places.state / "acme")
    except (LabError, OSError) as error:
        if not installed(places.state):  # another lab may have been quicker
            progress(f"no ACME service in this lab, no certificate: {error}")
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fetch(part: Path, mirror: str) -> None:
    for folder in ("lists/partial", "archives/partial", "tree"):
        (part / folder).mkdir(parents=True)
    sources = part / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror}/debian {SUITE} main\n")
    options = {
        "Dir::Etc::Main": "/dev/null",
        "Dir::Etc::Parts": "/dev/null",
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": part,
        "Dir::State::Lists": part / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": part,
        "Dir::Cache::Archives": part / "archives",
        "Acquire::Languages": "none",
        "Acquire::http::Proxy": "DIRECT",
        "APT::Sandbox::User": "root",
    }
    apt: list[str | Path] = ["apt-get", "-q"]
    for name, value in options.items():
        apt += ["-o", f"{name}={value}"]
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "APT_CONFIG": "/dev/null"}
    run([*apt, "update"], timeout_seconds=300, env=env)
    fetch = ["--download-only", "--no-install-recommends", "-y", "install", "pebble"]
    run([*apt, "-o", "Debug::NoLocking=1", *fetch], timeout_seconds=300, env=env)
    package = next((part / "archives").glob("pebble_*.deb"), None)
    if package is None:
        raise LabError("apt fetched no package of that name", "pebble")
    run(["dpkg-deb", "-x", package, part / "tree"])
    run([part / "tree" / "usr" / "bin" / "pebble", "-version"])  # it runs on this machine


def directory_command(
    acme: LabAcme, state: Path, *, validity_seconds: int = _VALIDITY_SECONDS
) -> tuple[list[str], dict[str, str]]:
    """Argv and environment of pebble; its certificates are valid for `validity_seconds`."""
    acme.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    leaf = make_authority(acme.folder).issue("server", (NAME, acme.gateway), acme.folder)
    config = {
        "listenAddress": f"{acme.gateway}:{acme.port}",
        "managementListenAddress": f"{acme.gateway}:{acme.port + 1000}",
        "certificate": str(leaf.chain),
        "privateKey": str(leaf.key),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "retryAfter": {"authz": 1, "order": 1},
        "certificateValidityPeriod": validity_seconds,
    }
    file = acme.folder / "pebble.json"
    file.write_text(json.dumps({"pebble": config}, indent=1), encoding="ascii")
    argv = [str(_programs(state) / "pebble"), "-config", str(file)]
    argv += ["-dnsserver", acme.dns_server, "-strict"]
    return argv, {**_ENV, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}


_DNS_HOOK = """#!/bin/sh
# HOOK auth|cleanup [NAME]: set or clear the TXT record of a challenge (lab: challtestsrv).
set -eu
name=${{2:-_acme-challenge.$CERTBOT_DOMAIN}}.
case "$1" in auth) deed=set-txt ;; *) deed=clear-txt ;; esac
body=$(printf '{{"host": "%s", "value": "%s"}}' "$name" "$CERTBOT_VALIDATION")
exec curl -fsS -X POST -d "$body" {names_url}/$deed
"""


def names_command(acme: LabAcme, state: Path, address: str) -> tuple[list[str], dict[str, str]]:
    """Argv and environment of the resolver: each name is at `address` unless told otherwise."""
    argv = [str(_programs(state) / "pebble-challtestsrv")]
    argv += ["-defaultIPv4", address, "-defaultIPv6", ""]
    for challenge in ("http01", "https01", "tlsalpn01", "doh"):
        argv += [f"-{challenge}", ""]
    argv += ["-dns01", acme.dns_server, "-management", f"{acme.gateway}:{_NAMES_HTTP}"]
    acme.dns_hook.write_text(_DNS_HOOK.format(names_url=acme.names_url), encoding="ascii")
    return argv, _ENV


def fetch_root(acme: LabAcme, *, timeout_seconds: float = 10) -> None:
    """Wait until pebble answers and write the root of what it issues. Raises LabError."""
    trust = ssl.create_default_context(cafile=str(acme.ca_file))
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            with urllib.request.urlopen(  # noqa: S310 - https, of our own making
                f"{acme.management_url}/roots/0", timeout=2, context=trust
            ) as answer:
                acme.root_file.write_bytes(answer.read())
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise LabError("the lab's ACME service did not answer", error) from None
            time.sleep(0.05)
