"""The cut-over: the address leads to the new host. The one step with no way back (D9)."""

import time

from chronos_ops.connectors.postgres import Postgres
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.catalog import INDEXES
from chronos_ops.drill.primary import operator_password, outside
from chronos_ops.drill.recover import place
from chronos_ops.drill.recover.fence import resource
from chronos_ops.execution import power
from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import gone_ok
from chronos_ops.execution.new_connection import answers
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.facts.lightsail import StaticIp
from chronos_ops.model.errors import ChronosError, Refused
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.instance import RUN_TAG, key_pair_name
from chronos_ops.model.plan import LeadStaticIp

ANSWER_SECONDS = 60.0
_WHO = """
SELECT s.ssl, s.version, c.system_identifier::text AS system_identifier
FROM pg_stat_ssl s, pg_control_system() c WHERE s.pid = pg_backend_pid()
"""
_AUTHORIZE = r"""
set -eu
umask 077; mkdir -p ~/.ssh; file=~/.ssh/authorized_keys; touch "$file"
IFS= read -r line
key=$(printf '%s\n' "$line" | cut -d ' ' -f 2)
grep -q -F -- "$key" "$file" || printf '%s operator\n' "$line" >> "$file"
"""


def authorize(ssh: Ssh, line: str) -> None:
    """Let the operator's own key in: the run's key ends with this process."""
    ssh.run(["sh", "-c", _AUTHORIZE], stdin=line + "\n")


def refuse_damage(findings: list[Finding], *, accepted: bool) -> None:
    """Applications are not sent to a copy in which a check failed, unless the operator says so.

    An invalid index is no damage: it was so at the source, another backup has it too, and
    PostgreSQL reads past it. It stays a finding of the run. A look that broke is no such thing.
    """
    passed_over = (INDEXES, Status.FAIL)
    bad = [f for f in findings if not f.good and (f.id, f.status) != passed_over]
    if bad and not accepted:
        raise Refused(
            "the restored copy did not pass its checks: nothing is sent there",
            "; ".join(f"{f.id}: {f.observed}" for f in bad),
            hint="another recovery target, or the backup before; if this copy must do: "
            "`-p although_findings=true`",
        )


def cut_over(context: Context, static: StaticIp, new: str, system_id: str) -> list[Finding]:
    """Lead the static address to the new host, look at it from outside, then let go of it.

    Until that look all is undone by a teardown; from then on nothing of it is. Raises Refused if
    somebody else, or nobody, answers there: the teardown takes it back.
    """
    lost = context.settings.host.instance
    holder = power.static_ip(context.aws, static.name).attached_to
    if holder not in ("", lost):
        raise Refused(
            f"the static address {static.name} leads to another instance by now",
            holder,
            hint="somebody else recovers this target too: agree on one of you",
        )
    back = LeadStaticIp(name=static.name, instance=lost, run_id=context.run_id)
    context.journal.resource(f"lightsail:static-ip/{static.name}", (back,))
    with context.journal.interval("deed", f"lead {static.name} to {new}"):
        mark(context, new)
        power.move(context.aws, static.name, new)
    serving = place.serving(context, new)
    with context.journal.interval("wait", f"{new} answers at {static.address}"):
        answers(serving, serving.ssh, time.monotonic() + ANSWER_SECONDS)
    found = judge_served(serving, system_id)
    if found.status is not Status.PASS:
        raise Refused("the cut-over is taken back", f"{found.title}: {found.observed}")
    let_go(context, static, new)
    return [found]


def judge_served(serving: Context, system_id: str) -> Finding:
    """From outside, over TLS, at the old address: the restored cluster, and no other."""
    settings = serving.settings
    address = outside(settings.host.address, settings, "postgres")
    client = Postgres(address, operator_password(serving, settings), serving.journal)
    try:
        row = client.query(_WHO)[0]
        passed = bool(row["ssl"]) and str(row["system_identifier"]) == system_id
        observed = f"{row['version'] or 'no TLS'}, system identifier {row['system_identifier']}"
    except ChronosError as error:
        passed, observed = False, str(error.value)
    finally:
        client.close()
    return judge(
        "recover.cut-over.served",
        f"{settings.host.address} is the restored database, over TLS",
        passed=passed,
        observed=observed,
        expected=f"TLS, system identifier {system_id}",
        hint="who answers at the static address?",
        requirement="D9",
    )


def let_go(context: Context, static: StaticIp, new: str) -> None:
    """The new host is production: no teardown, no reaper and no drill may take it from now on."""
    lost = context.settings.host.instance
    names = [f"lightsail:instance/{new}", f"lightsail:static-ip/{static.name}", resource(lost)]
    there = dict(pending_resources(context.folder))
    kept = tuple(name for name in names if name in there)
    context.journal.kept(kept, f"{new} has taken the place of {lost}")
    with context.journal.interval("deed", f"{new} is no drill host any more"):
        context.aws.call("lightsail", "untag_resource", resourceName=new, tagKeys=[RUN_TAG])
    seen = key_pair_name(new, context.run_id)
    gone_ok(lambda: context.aws.call("lightsail", "delete_key_pair", keyPairName=seen))


def mark(context: Context, new: str) -> None:
    """Whose place it takes: by this a run that was cut short is found, and gone on with."""
    tags = [
        {"key": place.RECOVERED_FROM, "value": context.settings.host.instance},
        {"key": place.RECOVERED_BY, "value": context.run_id},
    ]
    context.aws.call("lightsail", "tag_resource", resourceName=new, tags=tags)
