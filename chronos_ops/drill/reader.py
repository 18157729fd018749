"""A key that can read one repository and nothing else (D4): all that a drill host gets."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.settings import Settings
from chronos_ops.plans import identity

# The key that lies on the host, tried by the program that uses it: GetObject, then PutObject.
_TRY = """
export LC_ALL=C
do_repo() { pgbackrest --stanza="$1" --repo=1 --log-level-console=warn "$2" "$3" 2>&1; }
info=archive/$1/archive.info probe=archive/$1/chronos-write-probe
do_repo "$1" repo-get "$info" | grep -q '^backrest-format=' && echo 'read: yes'
if said=$(echo 'chronos: may this key write?' | do_repo "$1" repo-put "$probe")
then echo 'write: yes'; do_repo "$1" repo-rm "$probe"
else printf 'write: %s\\n' "$said" | tr '\\n' ' '
fi
"""


def as_reader(settings: Settings, run_id: str) -> Settings:
    """The same repository, seen with this run's own reading key."""
    backup = settings.backup.model_copy(
        update={
            "host_iam_user": f"chronos-reader-{run_id}",
            "host_key_secret": f"/chronos/drills/{run_id}/reader-key",
        }
    )
    return settings.model_copy(update={"backup": backup})


def make_reader(context: Context) -> None:
    """Make the reader of the repository that `context.settings` names; removed with the run."""
    settings = as_reader(context.settings, context.own_name)
    values = {name: context.ask(fact) for name, fact in identity.facts(settings).items()}
    plan = identity.plan(settings, values, read_only=True, run_id=context.run_id)
    apply(plan, context, temporary=True)


def check_read_only(ssh: Ssh, stanza: str) -> Finding:
    """The key on this host reads the repository, and cannot write to it (D4): both are tried."""
    return judge_read_only(ssh.run(["sh", "-c", _TRY, "try", stanza], user="postgres").stdout)


def judge_read_only(said: str) -> Finding:
    """From what pgBackRest said; an attempt that failed for another reason proves nothing."""
    reads, wrote = "read: yes" in said, "write: yes" in said
    refused = "AccessDenied" in said or "403" in said
    answer = said.partition("write: ")[2].strip()[:200]
    return judge(
        "drill.host.read-only-key",
        "the key on the drill host can read the repository and not write to it",
        passed=False if wrote else True if reads and refused else None,
        observed=f"read: {'yes' if reads else 'no'}; write: "
        + ("yes" if wrote else "refused (AccessDenied)" if refused else answer or "not tried"),
        expected="read: yes; write: refused",
        hint="a restored copy with a writing key may ruin the live repository: revoke it now",
        requirement="D4",
    )
