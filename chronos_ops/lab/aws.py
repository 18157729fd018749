"""The lab's AWS as the operator's side sees it: how it is started, and how it is reached."""

import json
import os
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.lab.authority import make_authority
from chronos_ops.lab.errors import LabError

REGION = "ca-central-1"
PROFILE = "chronos-lab"
# pgBackRest before 2.53 ignores addresses in certificates: hosts know the endpoint by this name.
S3_NAME = "s3.chronos-lab.internal"
_ROOT = Path(__file__).resolve().parents[2]
_HEALTH = "/_lab/health"
# What S3 takes hours for (RestoreObject of an archive class). The lab's time, not S3's.
_RESTORE_SECONDS = 1.0


@dataclass(frozen=True)
class LabAws:
    """Where the lab's AWS lies on disk and on the network; goes into `parameters/<lab>.yaml`."""

    folder: Path
    account_id: str
    address: str
    port: int
    region: str = REGION
    profile: str = PROFILE

    @property
    def endpoint_url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def config_file(self) -> Path:
        return self.folder / "config"

    @property
    def credentials_file(self) -> Path:
        return self.folder / "credentials"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def settings(self) -> dict[str, str]:
        """The `aws:` section of a parameter file (model/settings.py)."""
        return {
            "account_id": self.account_id,
            "region": self.region,
            "profile": self.profile,
            "config_file": str(self.config_file),
            "credentials_file": str(self.credentials_file),
            "endpoint_url": self.endpoint_url,
            "ca_file": str(self.ca_file),
        }


def describe(user_dir: Path, gateway: str, port: int) -> LabAws:
    """The lab's AWS in `user_dir`/aws. Its account id is drawn once per lab and kept."""
    folder = user_dir / "aws"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    remembered = folder / "account"
    if not remembered.is_file():
        remembered.write_text(str(secrets.randbelow(9 * 10**11) + 10**11), encoding="ascii")
    return LabAws(folder, remembered.read_text(encoding="ascii"), gateway, port)


def emulator_command(
    user_dir: Path, gateway: str, port: int, lab_name: str, daemon_socket: Path
) -> tuple[list[str], dict[str, str]]:
    """Argv and environment that serve the lab's AWS on `gateway`:`port`, and on nothing else.

    Makes what it needs on disk: the CA (once), a certificate for this address, folders (0700).
    """
    lab = describe(user_dir, gateway, port)
    authority = make_authority(lab.folder)
    names = (S3_NAME, f"aws.{lab_name}.internal", gateway)
    leaf = authority.issue("server", names, lab.folder)
    argv = [
        str(_emulator_python()),
        *("-m", "chronos_ops.lab.emulator"),
        *("--bind", f"{gateway}:{port}"),
        *("--certfile", str(leaf.chain), "--keyfile", str(leaf.key)),
    ]
    return argv, _environment(lab, daemon_socket)


def bootstrap(user_dir: Path, gateway: str, port: int, *, timeout_seconds: float = 30) -> LabAws:
    """Wait until the emulator answers and the operator's key is written.

    Raises LabError when it does not within `timeout_seconds`.
    """
    lab = describe(user_dir, gateway, port)
    deadline = time.monotonic() + timeout_seconds
    trust = ssl.create_default_context(cafile=str(lab.ca_file))
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(  # noqa: S310 - https, of our own making
                lab.endpoint_url + _HEALTH, timeout=2, context=trust
            ) as answer:
                health = json.load(answer)
        except (urllib.error.URLError, OSError, ValueError) as error:
            last = str(error)
            time.sleep(0.1)
            continue
        if health.get("account") != lab.account_id:
            raise LabError("another AWS emulator answers", lab.endpoint_url)
        if health.get("ready") and lab.credentials_file.is_file():
            return lab
        last = "not ready"
        time.sleep(0.1)
    raise LabError(
        f"the lab's AWS did not answer within {timeout_seconds:.0f} s",
        f"{lab.endpoint_url}: {last}",
        hint="its log is in the lab's folder: ./chronos lab logs --name NAME",
    )


def _emulator_python() -> Path:
    """The interpreter of the emulator's own environment. Raises LabError if it is not made."""
    chosen = os.environ.get("CHRONOS_LAB_PYTHON")
    path = Path(chosen) if chosen else _ROOT / ".venv-lab" / "bin" / "python"
    if not path.exists():
        raise LabError(
            "the emulator's environment is not there",
            path,
            hint="./chronos makes it from requirements/lab.lock",
        )
    return path


def _environment(lab: LabAws, daemon_socket: Path) -> dict[str, str]:
    state, objects = lab.folder / "state", lab.folder / "s3"
    for folder in (state, objects):
        folder.mkdir(exist_ok=True, mode=0o700)
    ours: Mapping[str, str] = {
        "CHRONOS_LAB_ADDRESS": lab.address,
        "CHRONOS_LAB_AWS_DIR": str(lab.folder),
        "CHRONOS_LAB_ENDPOINT": lab.endpoint_url,
        "CHRONOS_LAB_AWS_PROFILE": lab.profile,
        "CHRONOS_LAB_RESTORE_SECONDS": os.environ.get(
            "CHRONOS_LAB_RESTORE_SECONDS", str(_RESTORE_SECONDS)
        ),
        "CHRONOS_LAB_SOCKET": str(daemon_socket),
        "AUTH": "true",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(objects),
        "MINISTACK_REGION": lab.region,
        "MINISTACK_ACCOUNT_ID": lab.account_id,
        "MINISTACK_HOST": S3_NAME,
        "GATEWAY_PORT": str(lab.port),
        # ministack would open ports of its own, on all addresses, and look for Docker.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        # Nothing here is a root key: nobody is (emulator/gate.py); this only closes the defaults.
        "AWS_ACCESS_KEY_ID": secrets.token_hex(20),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(32),
        "AWS_EC2_METADATA_DISABLED": "true",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(lab.folder / "state"),
        "PYTHONPATH": str(_ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(lab.folder),
    }
    return dict(ours)
