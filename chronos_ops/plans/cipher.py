"""The repositories' passphrase: generated once, kept outside the host (B4)."""

from typing import Any

from chronos_ops.facts import s3
from chronos_ops.facts.secret_store import secrets
from chronos_ops.model.plan import Change, Plan, PutSecret, RemoveSecret
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.identity import prefixes


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """Whether the passphrase is kept, and whether a repository is there that needs one."""
    backup = settings.backup
    asked: dict[str, Fact[Any]] = {"secrets": secrets(backup.cipher_secret)}
    for number, prefix in enumerate(prefixes(backup), start=1):
        asked[f"repo{number}"] = s3.anything_below(backup.bucket, prefix)
    return asked


def plan(settings: Settings, values: dict[str, Any], *, run_id: str = "") -> Plan:
    """Generate the passphrase, unless a repository already exists: then only its own opens it."""
    name, secret = "cipher", settings.backup.cipher_secret
    kind = values["secrets"][secret]
    if kind == "SecureString":
        return Plan(name=name, noop_reason=f"the passphrase is kept as {secret}")
    if kind is not None:
        return Plan(
            name=name,
            refusals=(
                (
                    f"{secret} is a {kind}, readable by whoever may read parameters: "
                    "store it again as a SecureString"
                ),
            ),
        )
    used = [key for key, value in values.items() if key.startswith("repo") and value]
    if used:
        refusal = (
            f"{' and '.join(used)} hold data already, and {secret} is not in the secret store: a "
            "new passphrase would not open it. Put the old one back from its offline copy or from "
            f"the host (`aws ssm put-parameter --type SecureString --name {secret} "
            "--value file://...`). Was it never encrypted (`pgbackrest info`: cipher: none)? "
            "Then declare another backup.prefix: a repository's cipher is fixed for good"
        )
        return Plan(name=name, refusals=(refusal,))
    undo = (RemoveSecret(name=secret, run_id=run_id),) if run_id else ()
    return Plan(
        name=name,
        changes=(
            Change(
                id="secret.cipher",
                title=f"generate the repositories' passphrase, kept as {secret}",
                why="without it no backup can be read: it must not live on the host alone (B4)",
                deeds=(PutSecret(name=secret),),
                undo=undo,  # a target's passphrase is never deleted
                after=f"{secret} (SecureString, 32 random bytes)",
                creates=f"secret:{secret}",
            ),
        ),
    )


CIPHER = Stage("cipher", facts, plan)
