"""The lost host is given up: it cannot serve, and cannot archive, even if it comes back (D9)."""

import time

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.drill.recover.alive import answers
from chronos_ops.execution import power
from chronos_ops.execution.context import Context
from chronos_ops.facts import iam, lightsail, lightsail_ports
from chronos_ops.facts.lightsail import StaticIp
from chronos_ops.facts.lightsail_ports import OpenPort
from chronos_ops.model.errors import ChronosError, Refused
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.plan import CallAws, Deed, LeadStaticIp, ReviveKey, StartInstance
from chronos_ops.model.settings import Backup
from chronos_ops.plans.identity import key_id_secret, key_secret

KEY_SECONDS = 120.0  # IAM forgets a key everywhere after some seconds
_DEAD = ("InvalidAccessKeyId", "InvalidClientTokenId", "AccessDenied", "Forbidden", "403")


def resource(lost: str) -> str:
    """The fence's name in the journal; a teardown before the cut-over takes it down."""
    return f"fence:{lost}"


def fence(context: Context, static: StaticIp) -> Outcome:
    """Close its firewall, stop it, revoke its keys; then prove it. Raises Refused if it stands."""
    lost = context.settings.host.instance
    seen = context.ask(lightsail.instance(lost))
    keys = _active_keys(context)
    ports = context.ask(lightsail_ports.open_ports(lost)) or ()
    before = ("stopped" if seen.state == "stopped" else "running") if seen else "gone"
    undo: list[Deed] = [LeadStaticIp(name=static.name, instance=lost, run_id=context.run_id)]
    if ports:
        undo.append(_put(lost, ports))
    undo += [ReviveKey(user=user, ending=shown(key)) for user, key in keys]
    if before == "running":
        undo.append(StartInstance(name=lost))
    context.journal.resource(resource(lost), tuple(undo))
    with context.journal.interval("deed", f"fence {lost}", was=before):
        if seen is not None:
            closed = _put(lost, _operators_only(context))
            context.aws.call(closed.service, closed.operation, **closed.arguments)
            context.say(f"stopping {lost} …")
            power.stop_instance(context.aws, lost)  # one that lives archives its last segment yet
        for user, key in keys:
            context.say(f"revoking the key …{shown(key)} of {user} …")
            arguments = {"UserName": user, "AccessKeyId": key, "Status": "Inactive"}
            context.aws.call("iam", "update_access_key", **arguments)
    findings = [
        judge_stopped(context, lost),
        _judge_silent(context),
        _judge_keys(context),
    ]
    bad = [f for f in findings if f.status in (Status.FAIL, Status.ERROR)]
    if bad:
        said = "; ".join(f"{f.title}: {f.observed}" for f in bad)
        raise Refused(f"{lost} is not fenced, so nothing takes its place", said, hint=bad[0].hint)
    kept = "It is kept, never deleted" if seen else "It is gone already"
    return Outcome(
        summary=f"`{lost}` was {before}, and is given up: its firewall closed to all but the "
        f"operators' SSH, the instance stopped, {len(keys)} keys revoked. {kept}.",
        findings=findings,
        measures={
            "given_up": {"instance": lost, "was": before, "keys": [shown(key) for _, key in keys]}
        },
    )


def users(context: Context) -> tuple[str, str]:
    """Whose keys lie on the host: it archives as one, and sends its metrics as the other."""
    settings = context.settings
    return settings.backup.host_iam_user, settings.monitoring.host_iam_user


def _active_keys(context: Context) -> list[tuple[str, str]]:
    return [
        (user, key.id)
        for user in dict.fromkeys(users(context))
        for key in context.ask(iam.access_keys(user))
        if key.active
    ]


def shown(key: str) -> str:
    """A key's id as it may be written down: its end (R5)."""
    return key[-6:]


def _put(instance: str, ports: tuple[OpenPort, ...]) -> CallAws:
    infos = [port.as_argument() for port in ports if port.networks or port.aliases]
    arguments = {"instanceName": instance, "portInfos": infos}
    return CallAws(service="lightsail", operation="put_instance_public_ports", arguments=arguments)


def _operators_only(context: Context) -> tuple[OpenPort, ...]:
    """SSH from the operators' networks, for whoever looks into what happened."""
    networks = context.settings.postgres.operator_networks
    v4 = tuple(n for n in networks if ":" not in n)
    v6 = tuple(n for n in networks if ":" in n)
    return (OpenPort("tcp", context.settings.host.port, context.settings.host.port, v4, v6),)


# -- proven


def judge_stopped(context: Context, lost: str) -> Finding:
    """By Lightsail's word: it is off, or gone."""
    seen = context.ask(lightsail.instance(lost))
    state = "gone" if seen is None else seen.state
    return judge(
        "recover.fence.instance",
        f"the lost instance {lost} does not run",
        passed=state in ("gone", "stopped", "terminated"),
        observed=state,
        expected="stopped, or gone",
        hint="stop it in Lightsail's console (by force), then run again",
        requirement="D9",
    )


def _judge_silent(context: Context) -> Finding:
    """Tried at the old address, and at what the instance has now: a former one is another's."""
    settings = context.settings
    now = context.ask(lightsail.instance(settings.host.instance))
    hosts = {settings.host.address, now.address if now else ""} - {""}
    ports = (settings.postgres.port, settings.host.port)
    open_ = [f"{h}:{p}" for h in sorted(hosts) for p in ports if answers(h, p)]
    return judge(
        "recover.fence.silent",
        "nobody answers at its addresses any more",
        passed=not open_,
        observed=f"{', '.join(open_)} answers" if open_ else f"{', '.join(sorted(hosts))}: silent",
        expected="no answer",
        hint="who answers there? Its writes would be lost at the cut-over",
        requirement="D9",
    )


def _judge_keys(context: Context) -> Finding:
    """The key that the store has is tried; of others IAM itself says that they are inactive."""
    active = _active_keys(context)
    said = _try_write(context, context.settings.backup) if not active else "not tried"
    return judge(
        "recover.fence.key",
        "the lost host's key cannot write to the repositories any more",
        passed=False if active or said == "written" else True if said in _DEAD else None,
        observed=f"active: {', '.join(f'{user} …{shown(key)}' for user, key in active)}"
        if active
        else f"a write: {said}",
        expected="no active key, and a write refused",
        hint="what it archives beside the new host would spoil the repositories: revoke it by hand",
        requirement="D9",
    )


def _try_write(context: Context, backup: Backup) -> str:
    """What S3 says to a write with the stored key: asked until it is refused, or the deadline."""
    aws = context.aws
    try:
        key_id, secret = (aws.get_secret(name(backup)) for name in (key_id_secret, key_secret))
    except ChronosError as error:
        return error.noun
    context.journal.keep_secret(secret)
    tried = aws.with_key(key_id, secret)
    place = {
        "Bucket": backup.bucket,
        "Key": f"{backup.prefix.strip('/')}/archive/{backup.stanza}/chronos-fence-probe",
    }
    deadline = time.monotonic() + KEY_SECONDS
    try:
        while True:
            try:
                tried.call("s3", "put_object", Body=b"", **place)
            except AwsRefused as error:
                return error.code
            aws.call("s3", "delete_object", **place)
            if time.monotonic() > deadline:
                return "written"
            time.sleep(1.0)
    except ChronosError as error:
        return error.noun
    finally:
        tried.close()
