"""The AWS account and what is in it: identity, instance, storage, secrets, leftovers (P1, P2)."""

from chronos_ops.connectors.aws import AwsRefused, WrongAccount
from chronos_ops.connectors.aws_profile import login_kind
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import list_drill_instances
from chronos_ops.facts import lightsail, s3
from chronos_ops.facts.secret_store import secrets
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.settings import Settings
from chronos_ops.plans import identity
from chronos_ops.preflight.looking import Look, looked

CONF = "/etc/pgbackrest/pgbackrest.conf"  # ours; a package brings /etc/pgbackrest.conf
BACKUP = "pgbackrest_backup_restore"


def account(context: Context) -> Outcome:
    """Who asks, in which account and region."""
    return looked(
        context,
        "AWS account",
        (Look("preflight.identity", "The AWS profile works, in its account", "P1", _identity),),
    )


def instance(context: Context) -> Outcome:
    """The instance, its static IP, and instances that runs have left behind."""
    return looked(
        context,
        "Lightsail",
        (
            Look("preflight.instance", "The instance runs", "P2", _instance),
            Look("preflight.leftovers", "No forgotten drill host costs money", "P4", _leftovers),
        ),
    )


def storage(context: Context) -> Outcome:
    """The bucket and the secrets: there and ours, or not made yet."""
    return looked(
        context,
        "Repository and secrets",
        (
            Look("preflight.bucket", "The bucket is ours, here, private, with versions", "P4",
                 _bucket),
            Look("preflight.secrets", "The secrets are there, encrypted", "P4", _secrets),
        ),
    )  # fmt: skip


for _function in (account, instance, storage):
    _function.probe = True  # type: ignore[attr-defined] # reads only


def _identity(context: Context) -> list[Finding]:
    settings = context.settings.aws
    kind, hint = login_kind(settings), ""
    try:
        observed = f"{context.aws.identity().arn}, by {kind}"
        if kind in ("sso", "temporary keys"):
            observed += ": expires within hours, so not for a schedule"
    except WrongAccount as error:
        observed, hint = f"{error.noun}: {error.value}", error.hint
    return [
        judge(
            "preflight.identity",
            "The AWS profile works, in its account",
            passed=not hint,
            observed=observed,
            expected=f"an identity of {settings.account_id}",
            hint=hint,
            requirement="P1",
        )
    ]


def _instance(context: Context) -> list[Finding]:
    settings = context.settings
    host, found = settings.host, context.ask(lightsail.instance(settings.host.instance))
    where = f"in {settings.aws.region} of {settings.aws.account_id}"
    runs = judge(
        "preflight.instance",
        "The instance runs",
        passed=found is not None and found.state == "running",
        observed=f"{host.instance}: {found.state if found else 'no such instance'}",
        expected=f"{host.instance} runs {where}",
        hint="host.instance and aws.region of the parameter file; "
        f"`aws lightsail get-instances --profile {settings.aws.profile}`",
        requirement="P2",
    )
    if found is None:
        return [runs]
    return [
        runs,
        _static_ip(context, found),
        judge(
            "preflight.region",
            "It stands in the declared region",
            passed=found.zone.startswith(settings.aws.region),
            observed=found.zone,
            expected=f"a zone of {settings.aws.region}",
            hint="aws.region of the parameter file",
            requirement="P1",
        ),
        judge(
            "preflight.bundle",
            "A drill host is as large as the instance",
            passed=found.bundle == settings.drill.bundle_id,
            observed=f"instance {found.bundle}, drill {settings.drill.bundle_id}",
            expected="the same bundle: else the recovery time is another machine's",
            hint="drill.bundle_id of the parameter file",
            requirement="D6",
        ),
    ]


def _static_ip(context: Context, found: lightsail.Instance) -> Finding:
    """Who reaches the host by its private address needs a static IP all the same, for the names."""
    host, declared = context.settings.host, context.settings.hardening.static_ip
    wanted = declared or host.address
    private = declared is None and found.private_address == host.address
    return judge(
        "preflight.static-ip",
        "Its static IP is the declared address",
        passed=found.is_static_ip and (found.address == wanted or private),
        observed=(found.address or "none") + (", static" if found.is_static_ip else ", not static")
        + (f"; reached by its private address {host.address}" if private else ""),
        expected="a static IP" if private else f"{wanted}, static",
        hint="attach a static IP: another address comes with the next stop and start; then set "
        "host.address",
        requirement="P2",
    )  # fmt: skip


def _leftovers(context: Context) -> list[Finding]:
    settings = context.settings
    limit, bundle = settings.drill.reap_after_hours, settings.drill.bundle_id
    old = [i for i in list_drill_instances(context.aws) if i.age_hours > limit]
    price = settings.monitoring.prices.bundle_month.get(bundle)
    cost = f"{len(old) * price:.2f} USD a month" if price is not None else "at an unknown price"
    names = ", ".join(f"{i.name} of {i.run_id} ({i.age_hours:.0f} h)" for i in old)
    return [
        judge(
            "preflight.leftovers",
            "No forgotten drill host costs money",
            passed=not old,
            observed=f"{names}: {cost}" if old else "none",
            expected=f"no instance of a run that is older than {limit:g} h",
            hint=f"`./chronos reap --target {settings.target}` removes what a run left",
            requirement="P4",
        )
    ]


def _bucket(context: Context) -> list[Finding]:
    """Another account's bucket of that name answers AccessDenied: never `not made yet`."""
    name, region = context.settings.backup.bucket, context.settings.aws.region
    title = "The bucket is ours, here, private, with versions"
    try:
        location = context.ask(s3.location(name))
    except AwsRefused as error:
        error.add("or the bucket is another account's: names are taken worldwide")
        raise
    if location is None:
        return [not_made_yet(context, "preflight.bucket", title, f"no bucket {name}")]
    block = context.ask(s3.public_access_block(name))
    versions = context.ask(s3.versioning(name))
    wrong = [
        *([f"it stands in {location}"] if location != region else []),
        *([] if block and all(block.values()) else ["public access is not blocked"]),
        *([] if versions == "Enabled" else [f"versioning is {versions or 'off'}"]),
    ]
    return [
        judge(
            "preflight.bucket",
            title,
            passed=not wrong,
            observed=f"{name}: " + (", ".join(wrong) or f"{location}, private, with versions"),
            expected=f"{region}, all public access blocked, versioning enabled",
            hint=f"the stage `s3-bucket` of {BACKUP} sets it; a region cannot be changed",
            requirement="P4",
        )
    ]


def secret_names(settings: Settings) -> tuple[str, ...]:
    """What the backup runbook puts into the store."""
    backup = settings.backup
    return (
        backup.cipher_secret,
        identity.key_id_secret(backup),
        identity.key_secret(backup),
        settings.postgres.operator_password_secret,
    )


def _secrets(context: Context) -> list[Finding]:
    names = secret_names(context.settings)
    title, found = "The secrets are there, encrypted", context.ask(secrets(*names))
    missing = [name for name, kind in found.items() if kind is None]
    if len(missing) == len(names):
        return [not_made_yet(context, "preflight.secrets", title, "none of them is there")]
    clear = [
        f"{name}: {kind}" for name, kind in found.items() if kind not in (None, "SecureString")
    ]
    return [
        judge(
            "preflight.secrets",
            title,
            passed=not missing and not clear,
            observed="; ".join([f"{name}: missing" for name in missing] + clear)
            or f"{len(names)} SecureStrings",
            expected="each a SecureString of the Parameter Store",
            hint=f"{BACKUP} makes what is missing. A passphrase that was lost is not made anew: "
            "put the offline copy back",
            requirement="P4",
        )
    ]


def not_made_yet(context: Context, identifier: str, title: str, observed: str) -> Finding:
    """Not made yet is no fault, unless a host is at work that would need it."""
    at_work = context.ssh.run(
        ["ls", CONF],
        sudo=True,
        accept=(0, 2),
    ).stdout.split()
    return Finding(
        id=identifier,
        status=Status.FAIL if at_work else Status.NOT_APPLICABLE,
        title=title,
        observed=observed + (f", and the host has {at_work[0]}" if at_work else " yet"),
        expected=f"{BACKUP} makes it",
        hint="was it deleted, or is this another account or region?" if at_work else "",
        requirement="P4",
    )
