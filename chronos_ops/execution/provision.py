"""Drill hosts through the Lightsail API: made, waited for, found again, destroyed (P2, D3, D4)."""

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import tenacity
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.facts import lightsail
from chronos_ops.model.errors import ChronosError, Refused, TransportError
from chronos_ops.model.instance import RUN_TAG, InstanceRequest, key_pair_name, request_instance
from chronos_ops.model.journal import Journal
from chronos_ops.model.plan import DestroyInstance
from chronos_ops.model.question import AwsQuestion, Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.timing import utc_now

T = TypeVar("T")
OnEvent = Callable[[str], None]

CREATE_SECONDS = 300.0
KEYS_SECONDS = 180.0
SSH_SECONDS = 180.0
FIRST_BOOT_SECONDS = 900.0
DELETE_SECONDS = 300.0


@dataclass(frozen=True)
class Provisioned:
    """A host that answers, with its keys pinned, its first boot done and apt free."""

    name: str
    run_id: str
    address: str
    user: str
    known_hosts: tuple[str, ...]
    key_file: str
    source: str  # blueprint, or `snapshot NAME`
    bundle: str
    zone: str
    machine_id: str

    def ssh_address(self, pg_port: int = 5432) -> SshAddress:
        """For `Ssh(...)` or `context.host(...)`."""
        return SshAddress(self.address, 22, self.user, self.key_file, self.known_hosts, pg_port)


@dataclass(frozen=True)
class DrillInstance:
    """An instance that some run made, with its age in hours."""

    name: str
    run_id: str
    state: str
    address: str
    age_hours: float


def make_key(folder: Path) -> Path:
    """A fresh RSA key (Lightsail imports no other type): `id_rsa` 0600, and `id_rsa.pub`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "id_rsa"
    path.unlink(missing_ok=True)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(private)
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    path.with_suffix(".pub").write_bytes(public + b" chronos\n")
    return path


def provision(
    aws: Aws,
    settings: Settings,
    name: str,
    run_id: str,
    key_file: Path | str,
    user_data: str = "",
    on_event: OnEvent = lambda line: None,
    journal: Journal | None = None,
) -> Provisioned:
    """Make a drill host and wait until it can be worked with.

    `key_file` is the private key; its public half lies beside it (`.pub`, ssh-rsa: `make_key`).
    The undo is journalled before anything is made. Raises Refused (the name is taken), UsageError
    (key, name), ChronosError (Lightsail failed, first boot failed), TransportError (deadline).
    """
    path = Path(key_file)
    journal = journal or aws.journal
    public = path.with_name(path.name + ".pub").read_text(encoding="ascii")
    request = request_instance(settings, name, run_id, public, user_data)
    if _instance(aws, name) is not None:
        raise Refused("an instance of that name exists already", name)
    if journal is not None:
        undo = (DestroyInstance(name=name, run_id=run_id),)
        journal.resource(f"lightsail:instance/{name}", undo)
    on_event(f"creating {name} ({request.bundle_id})")
    instance = _create(aws, request)
    aws.call("lightsail", "put_instance_public_ports", **request.close_firewall())
    on_event(f"{name} has {instance.address}; waiting for its host keys")
    keys = _until(
        aws.journal,
        f"Lightsail has the host keys of {name}",
        KEYS_SECONDS,
        lambda: _keys(aws, name),
    )
    address = SshAddress(instance.address, 22, instance.user, str(path), keys)
    on_event(f"waiting for SSH on {instance.address}")
    with Ssh(_answering(address, journal), journal) as ssh:
        on_event(f"waiting for the first boot of {name}")
        _wait_first_boot(ssh, name)
        ssh.run(
            ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={FIRST_BOOT_SECONDS:.0f}", "check"],
            sudo=True,
            timeout=FIRST_BOOT_SECONDS + 30,
        )
        if request.snapshot:
            ssh.run(["sh", "-c", _NEW_MACHINE_ID], sudo=True)
        machine_id = ssh.run(["cat", "/etc/machine-id"]).stdout.strip()
    on_event(f"{name} is ready")
    return Provisioned(
        name=name,
        run_id=run_id,
        address=instance.address,
        user=instance.user,
        known_hosts=keys,
        key_file=str(path),
        source=f"snapshot {request.snapshot}" if request.snapshot else request.blueprint_id,
        bundle=instance.bundle,
        zone=instance.zone,
        machine_id=machine_id,
    )


def destroy(aws: Aws, name: str, run_id: str) -> None:
    """Delete an instance of this run and its key pairs, and wait until it is gone.

    Nothing there is no error. Raises Refused if the instance does not carry this run's tag (D3).
    """
    instance = _instance(aws, name)
    if instance is not None:
        if not run_id or instance.run_id != run_id:
            raise Refused(
                f"the instance {name} was not made by run {run_id!r}",
                f"{RUN_TAG}={instance.run_id or '(no tag)'}",
            )
        if instance.is_static_ip:
            raise Refused(
                f"the instance {name} has a static address: it serves, and is no drill host",
                instance.address,
                hint="after a recovery for real run disaster_recovery again with mode=recover",
            )
        _until(
            aws.journal, f"{name} accepts its deletion", DELETE_SECONDS, lambda: _delete(aws, name)
        )
        _until(
            aws.journal,
            f"{name} is gone",
            DELETE_SECONDS,
            lambda: _instance(aws, name) is None or None,
        )
    _gone_ok(aws, "delete_key_pair", keyPairName=key_pair_name(name, run_id))


def list_drill_instances(aws: Aws) -> list[DrillInstance]:
    """Every instance that a run made and left, oldest first (for preflight and the reaper)."""
    found = _asked(aws, lightsail.instances())
    now = utc_now()
    drills = [
        DrillInstance(
            i.name, i.run_id, i.state, i.address, (now - i.created_at).total_seconds() / 3600
        )
        for i in found
        if i.run_id
    ]
    return sorted(drills, key=lambda drill: -drill.age_hours)


def _create(aws: Aws, request: InstanceRequest) -> lightsail.Instance:
    aws.call("lightsail", "import_key_pair", **request.import_key_pair())
    operation, arguments = request.create()
    operations = aws.call("lightsail", operation, **arguments)["operations"]
    for started in operations:
        _until(
            aws.journal,
            f"Lightsail has made {request.name}",
            CREATE_SECONDS,
            partial(_finished, aws, started["id"]),
        )
    return _until(
        aws.journal,
        f"{request.name} is running",
        CREATE_SECONDS,
        lambda: _running(aws, request.name),
    )


def _finished(aws: Aws, operation_id: str) -> bool | None:
    """True when it succeeded, None while it is under way. Raises ChronosError if it failed."""
    operation = aws.call("lightsail", "get_operation", operationId=operation_id)["operation"]
    if operation["status"] == "Failed":
        noun = f"Lightsail's {operation['operationType']} of {operation['resourceName']} failed"
        raise ChronosError(noun, operation.get("errorDetails") or operation.get("errorCode"))
    return True if operation["status"] in ("Succeeded", "Completed") else None


def _asked(aws: Aws, fact: Fact[T]) -> T:
    assert isinstance(fact.question, AwsQuestion)
    return fact.parse(aws.ask(fact.question))


def _instance(aws: Aws, name: str) -> lightsail.Instance | None:
    return _asked(aws, lightsail.instance(name))


def _running(aws: Aws, name: str) -> lightsail.Instance | None:
    found = _instance(aws, name)
    return found if found and found.state == "running" and found.address else None


def _keys(aws: Aws, name: str) -> tuple[str, ...] | None:
    return _asked(aws, lightsail.host_keys(name)) or None


def _delete(aws: Aws, name: str) -> bool | None:
    """Ask for the deletion; None while Lightsail is busy with the instance."""
    try:
        aws.call("lightsail", "delete_instance", instanceName=name)
    except AwsRefused as error:
        if error.code == "NotFoundException":
            return True
        if error.code == "OperationFailureException":
            return None
        if _instance(aws, name) is None:  # what is gone has no tag any more that would allow it
            return True
        raise
    return True


def _gone_ok(aws: Aws, operation: str, **arguments: str) -> None:
    try:
        aws.call("lightsail", operation, **arguments)
    except AwsRefused as error:
        if error.code != "NotFoundException":
            raise


def _answering(address: SshAddress, journal: Journal | None) -> SshAddress:
    """The address, once SSH lets us in with the pinned key."""
    last: list[TransportError] = []

    def opened() -> bool | None:
        try:
            with Ssh(address):
                return True
        except TransportError as error:
            last.append(error)
            return None

    try:
        _until(journal, f"SSH answers on {address.host}", SSH_SECONDS, opened)
    except TransportError as error:
        raise TransportError(error.noun, last[-1] if last else None) from None
    return address


# Real cloud-init and the lab leave the same file; an image without either has nothing to wait for.
_BOOT_SCRIPT = """
if [ -e /var/lib/cloud/instance/boot-finished ]; then
  for f in /run/cloud-init/result.json /var/lib/cloud/data/result.json \
           /var/lib/cloud/instance/result.json; do
    [ -e "$f" ] && cat "$f" && exit 0
  done
  echo '{}'
elif [ -d /var/lib/cloud ] || command -v cloud-init >/dev/null; then exit 75
else echo '{}'
fi
"""


# cloud-init gives a copy other host keys, but leaves it the machine id (canonical/cloud-init#4066);
# the guards tell hosts apart by it.
_NEW_MACHINE_ID = """
set -eu
tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id.new
chmod 444 /etc/machine-id.new
mv -f /etc/machine-id.new /etc/machine-id
[ ! -e /var/lib/dbus/machine-id ] || ln -sf /etc/machine-id /var/lib/dbus/machine-id
"""


def _wait_first_boot(ssh: Ssh, name: str) -> None:
    """cloud-init, and with it the user data, has finished. Raises ChronosError if it failed."""

    def finished() -> str | None:
        answer = ssh.run(["sh", "-c", _BOOT_SCRIPT], sudo=True, accept=(0, 75))
        return answer.stdout if answer.exit_code == 0 else None

    text = _until(ssh.journal, f"the first boot of {name} is done", FIRST_BOOT_SECONDS, finished)
    try:
        errors = json.loads(text).get("v1", {}).get("errors", [])
    except ValueError:
        errors = [f"unreadable result: {text[:200]}"]
    if errors:
        raise ChronosError(
            f"the first boot of {name} failed",
            "; ".join(map(str, errors)),
            hint="read /var/log/cloud-init-output.log on it",
        )


def _until(journal: Journal | None, noun: str, seconds: float, look: Callable[[], T | None]) -> T:
    """What `look` finds, asked until it is not None. Raises TransportError at the deadline."""
    with journal.interval("wait", noun) if journal else nullcontext():
        return _asked_until(noun, seconds, look)


def _asked_until(noun: str, seconds: float, look: Callable[[], T | None]) -> T:
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_exponential(multiplier=0.1, max=3),
        retry=tenacity.retry_if_result(lambda found: found is None),
    )
    try:
        found = retrying(look)
    except tenacity.RetryError:
        raise TransportError(f"waited {seconds:.0f} s in vain until {noun}") from None
    assert found is not None
    return found
