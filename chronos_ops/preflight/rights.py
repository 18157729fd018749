"""What may be read and written: tried by reading; a policy is compared, nothing written (P4)."""

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.execution.context import Context
from chronos_ops.facts import iam, s3
from chronos_ops.facts.secret_store import secrets
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans.identity import IAM_USER
from chronos_ops.preflight.account import BACKUP, not_made_yet, secret_names
from chronos_ops.preflight.looking import Look, dry, looked

_BUCKET = "The bucket may be listed, and the host's key may write"
_SECRETS = "The secrets may be read"


def rights(context: Context) -> Outcome:
    """The operator's right to list and to decrypt, the host's to write."""
    return looked(
        context,
        "Rights",
        (
            Look("preflight.rights.bucket", _BUCKET, "P4", _bucket),
            Look("preflight.rights.secrets", _SECRETS, "P4", _secrets),
        ),
    )


rights.probe = True  # type: ignore[attr-defined] # reads only


def _bucket(context: Context) -> list[Finding]:
    """Listed for real; the host's key, which the operator does not have, by its user's policy."""
    backup = context.settings.backup
    context.ask(s3.anything_below(backup.bucket, backup.prefix))
    if not context.ask(iam.user_exists(backup.host_iam_user)):
        nobody = f"no IAM user {backup.host_iam_user}"
        return [not_made_yet(context, "preflight.rights.bucket", _BUCKET, nobody)]
    plan = dry(context, IAM_USER)
    missing = [*plan.refusals, *(change.title for change in plan.changes)]
    return [
        judge(
            "preflight.rights.bucket",
            _BUCKET,
            passed=not missing,
            observed="to do: " + "; ".join(missing) if missing else f"listed; {plan.noop_reason}",
            expected=f"IAM user {backup.host_iam_user} has its declared policy, and a key",
            hint=f"the stage `host-identity` of {BACKUP}",
            requirement="P4",
        )
    ]


def _secrets(context: Context) -> list[Finding]:
    """Each is decrypted and dropped at once."""
    names = secret_names(context.settings)
    there = [name for name, kind in context.ask(secrets(*names)).items() if kind]
    if not there:
        return [not_made_yet(context, "preflight.rights.secrets", _SECRETS, "none is there")]
    refused = [f"{name}: {code}" for name in there if (code := _refusal(context, name))]
    return [
        judge(
            "preflight.rights.secrets",
            _SECRETS,
            passed=not refused,
            observed="; ".join(refused) or f"{len(there)} of {len(names)} are there, and readable",
            expected="ssm:GetParameter with decryption, for this profile's identity",
            hint="the identity's policy; with a customer key also kms:Decrypt",
            requirement="P4",
        )
    ]


def _refusal(context: Context, name: str) -> str:
    """AWS's code, or nothing. Raises UsageError: it is stored in the clear."""
    try:
        context.aws.get_secret(name)
    except AwsRefused as error:
        return error.code
    return ""
