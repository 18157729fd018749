"""What sends the host's metrics: packages, an IAM user, two small services and a timer (M2, M8)."""

import json
from typing import Any

from chronos_ops.facts import iam, packages, postgres
from chronos_ops.facts.files import FileState, states
from chronos_ops.facts.iam import AccessKey
from chronos_ops.facts.publisher import KeyFile, key_file, user_exists
from chronos_ops.facts.systemd import Unit, units
from chronos_ops.model.metrics import BY_NAME, DIMENSION
from chronos_ops.model.monitoring import Monitoring
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans import iam_user
from chronos_ops.plans.alarms import metrics
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.iam_user import IamUser
from chronos_ops.plans.managed_file import file_change
from chronos_ops.plans.templating import render

POLICY_NAME = "chronos-metrics"
USER = "chronos_metrics"  # on the host, and as a role in the cluster
FOLDER = "/etc/chronos-ops"
LIBRARY = "/usr/local/lib/chronos"
UNITS = "/etc/systemd/system"
CONFIG = f"{FOLDER}/metrics.json"
CREDENTIALS = f"{FOLDER}/metrics-credentials"
AWS_CONFIG = f"{FOLDER}/metrics-aws-config"
CA = f"{FOLDER}/metrics-ca.pem"
PROGRAM = f"{LIBRARY}/metrics-publish"
COLLECT = f"{LIBRARY}/metrics-collect"
QUERY = f"{LIBRARY}/metrics.sql"
SERVICE, COLLECTOR, SLOW, TIMER = (
    f"chronos-metrics{end}" for end in (".service", "-collect.service", "-slow.service", ".timer")
)
COLLECTED = "/var/lib/chronos-metrics-collect"
DRILL_STAMP = "/var/lib/chronos-drill/last-passed"  # "<epoch> <run id>": everybody may read it
# What CloudWatch's own agent can measure as we do. Memory is not among it: the agent takes shared
# memory for cache, and shared memory is what PostgreSQL has most of; it has no 100 - available.
AGENT_METRICS = ("disk_used_percent", "cpu_used_percent")
PROFILE = "chronos-metrics"
# boto3 signs and retries as AWS wants it; psutil knows what is available, not only what is free.
NEEDED = ("python3-boto3", "python3-psutil")
_MANAGED = "Written by chronos-ops (runbook cloudwatch_monitoring): do not edit."
_SPOOL_TICKS = 1440
_SLOW_SECONDS = 240  # between two looks into the repositories: each costs requests (M6)
_COLLECT_SECONDS = {"server": 15, "slow": 90}
_RELOAD = RunCommand(argv=("systemctl", "daemon-reload"))
_APT = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "apt-get", "-q")


# -- who it is to AWS


def policy_document(monitoring: Monitoring) -> dict[str, Any]:
    """Put metrics into one namespace, nothing else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "PutIntoOneNamespace",
                "Effect": "Allow",
                "Action": "cloudwatch:PutMetricData",
                "Resource": "*",
                "Condition": {"StringEquals": {"cloudwatch:namespace": monitoring.namespace}},
            }
        ],
    }


def plan_identity(settings: Settings, values: dict[str, Any]) -> Plan:
    """The user that may put metrics, its key in the secret store."""
    monitoring = settings.monitoring
    wanted = IamUser(
        name=monitoring.host_iam_user,
        purpose="metrics",
        policy_name=POLICY_NAME,
        document=policy_document(monitoring),
        key_secret=monitoring.host_key_secret,
        policy_title=f"let it put metrics into {monitoring.namespace}, and nothing else",
        why={
            "user": "a Lightsail host has no role of its own that could send metrics (M2)",
            "policy": "a thief of the key may send false metrics, and that is all",
            "key": "the publisher needs a long-lived key; nobody sees it (R5)",
        },
    )
    return iam_user.plan("metrics-identity", wanted, values)


# -- packages


def plan_packages(_: Settings, values: dict[str, Any]) -> Plan:
    """Install what is missing; the lists are fetched first."""
    missing = [package for package in NEEDED if package not in values["installed"]]
    if not missing:
        return Plan(name="metrics-packages", noop_reason=f"{', '.join(NEEDED)} are installed")
    wait = ("-o", "DPkg::Lock::Timeout=300")
    install = (*_APT, *wait, "-y", "--no-install-recommends", "install", *missing)
    change = Change(
        id="metrics.packages",
        title=f"install {', '.join(missing)}",
        why="the publisher: boto3 signs and retries as AWS wants it, psutil tells available memory",
        deeds=(
            RunCommand(argv=(*_APT, *wait, "update"), timeout_seconds=600),
            RunCommand(argv=install, timeout_seconds=1800),
        ),
        undo=(RunCommand(argv=(*_APT, *wait, "-y", "remove", *missing)),),
        after="\n".join(missing),
    )
    return Plan(name="metrics-packages", changes=(change,))


# -- the publisher


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """Its files, its units, its user, its key, the cluster."""
    return {
        "clusters": postgres.CLUSTERS,
        "files": states(*_paths(), name="publisher_files"),
        "units": units(SERVICE, COLLECTOR, SLOW, TIMER),
        "user": user_exists(USER),
        "key_file": key_file(CREDENTIALS),
        "keys": iam.access_keys(settings.monitoring.host_iam_user),
    }


def _paths() -> tuple[str, ...]:
    services = (f"{UNITS}/{unit}" for unit in (COLLECTOR, SLOW, SERVICE, TIMER))
    return (QUERY, COLLECT, PROGRAM, CONFIG, AWS_CONFIG, CA, *services)


def calendar(seconds: int) -> str:
    """On the full seconds or minutes of the hour, so that each period gets the same number."""
    if seconds < 60:
        return f"*:*:0/{seconds}"
    return f"*:0/{seconds // 60}:00" if seconds < 3600 else "*:00:00"


def config(settings: Settings) -> dict[str, Any]:
    """What the publisher reads; no secrets."""
    monitoring, every = settings.monitoring, settings.monitoring.publish_seconds
    names, slow = sent(settings), slow_seconds(settings)
    return {
        "account": settings.aws.account_id,
        "region": settings.aws.region,
        "profile": PROFILE,
        "endpoint_url": monitoring.host_endpoint_url,
        "ca_file": CA if monitoring.host_ca_file else None,
        "namespace": monitoring.namespace,
        "dimension": [DIMENSION, settings.host.instance],
        "metrics": list(names),
        "units": {name: BY_NAME[name].unit for name in names},
        "stanza": settings.backup.stanza,
        "drill_stamp": DRILL_STAMP,
        "resolution_seconds": 1 if monitoring.period_seconds < 60 else 60,
        # Both tries and the time between them fit into a tick.
        "connect_seconds": min(5, every / 5),
        "read_seconds": min(10, every / 4),
        "stale_seconds": 2 * every + 60,
        "slow_stale_seconds": 3 * slow + 2 * every + 60,
    }


def sent(settings: Settings) -> tuple[str, ...]:
    """What the publisher sends: all of it, or what CloudWatch's agent does not (M2)."""
    if settings.monitoring.sender == "publisher":
        return metrics(settings)
    return tuple(name for name in metrics(settings) if name not in AGENT_METRICS)


def slow_seconds(settings: Settings) -> int:
    """So that each period of an alarm sees a new look; never twice in a tick."""
    every, period = settings.monitoring.publish_seconds, settings.monitoring.period_seconds
    return max(every - 1, min(_SLOW_SECONDS, period - every))


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """User, files, key, units, timer."""
    name = "publisher"
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=name, refusals=(missing_cluster(settings, values["clusters"]),))
    former: dict[str, FileState | None] = values["files"]
    texts = _texts(settings, cluster.unit)
    changes = [_user(known=values["user"])]
    changes += [_file(path, text, former) for path, text in texts.items()]
    changes.append(
        credentials_change(settings, values["key_file"], values["keys"], CREDENTIALS, USER)
    )
    changes.append(_timer(values["units"], texts, former))
    done = tuple(change for change in changes if change is not None)
    reason = "" if done else f"the publisher runs every {settings.monitoring.publish_seconds} s"
    return Plan(name=name, changes=done, noop_reason=reason)


def _texts(settings: Settings, postgres_unit: str) -> dict[str, str]:
    monitoring, port = settings.monitoring, settings.postgres.port
    found = {
        QUERY: render("metrics.sql.j2", managed=_MANAGED),
        COLLECT: render(
            "metrics-collect.sh.j2",
            managed=_MANAGED,
            slow_seconds=slow_seconds(settings),
            port=port,
            query=QUERY,
            stanza=settings.backup.stanza,
            certificate="certificate_days_left" in sent(settings),
        ),
        PROGRAM: render(
            "metrics-publish.py.j2",
            managed=_MANAGED,
            config=CONFIG,
            collected=COLLECTED,
            spool_ticks=_SPOOL_TICKS,
        ),
        CONFIG: json.dumps(config(settings), indent=1, sort_keys=True) + "\n",
        AWS_CONFIG: f"[profile {PROFILE}]\nregion = {settings.aws.region}\n",
        **{
            f"{UNITS}/{unit}": render(
                "metrics-collect.service.j2",
                managed=_MANAGED,
                what=what,
                timeout_seconds=_COLLECT_SECONDS[what],
                program=COLLECT,
                postgres_unit=postgres_unit,
            )
            for unit, what in ((COLLECTOR, "server"), (SLOW, "slow"))
        },
        f"{UNITS}/{SERVICE}": render(
            "metrics.service.j2",
            managed=_MANAGED,
            user=USER,
            program=PROGRAM,
            aws_config=AWS_CONFIG,
            aws_credentials=CREDENTIALS,
        ),
        f"{UNITS}/{TIMER}": render(
            "metrics.timer.j2",
            managed=_MANAGED,
            seconds=monitoring.publish_seconds,
            calendar=calendar(monitoring.publish_seconds),
        ),
    }
    if (ca := monitoring.host_ca_text()) is not None:
        found[CA] = ca
    return found


def _user(*, known: bool) -> Change | None:
    if known:
        return None
    add = ("useradd", "--system", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
    return Change(
        id="publisher.user",
        title=f"make the system user {USER}",
        why="what talks to AWS is neither root nor postgres",
        deeds=(RunCommand(argv=(*add, USER)),),
        undo=(RunCommand(argv=("userdel", USER)),),
        after=USER,
    )


def _file(path: str, text: str, states: dict[str, FileState | None]) -> Change | None:
    program = path in (PROGRAM, COLLECT)
    return file_change(
        f"publisher.{path.rpartition('/')[2]}",
        f"write {path}",
        "a part of the publisher (M2)",
        path,
        text,
        states,
        mode="0755" if program else "0644",
        then=(_RELOAD,) if path.startswith(UNITS) else (),
    )


def credentials_change(
    settings: Settings, former: KeyFile | None, keys: list[AccessKey], path: str, owner: str
) -> Change | None:
    """The key's file is right if it is its owner's alone and holds a key that is active."""
    secret = settings.monitoring.host_key_secret
    active = {key.id for key in keys if key.active}
    if former and (former.owner, former.mode) == (owner, "0600") and former.key_id in active:
        return None
    text = (
        f"[{PROFILE}]\naws_access_key_id = @{{secret:{secret}/id}}\n"
        f"aws_secret_access_key = @{{secret:{secret}/secret}}\n"
    )
    return Change(
        id=path.rpartition("/")[2].replace("-", "."),  # metrics.credentials
        title=f"put the key into {path}, readable by {owner} alone",
        why="an explicit profile: never the instance's metadata (P1)",
        deeds=(WriteFile(path=path, content=text, owner=owner, group=owner, mode="0600"),),
        undo=(RemoveFile(path=path),),
        before="" if former is None else f"{former.owner} {former.mode} key {former.key_id}\n",
        after=f"{owner} 0600 the key kept as {secret}/*\n",
    )


def _timer(
    known: dict[str, Unit], texts: dict[str, str], states: dict[str, FileState | None]
) -> Change | None:
    unit = known.get(TIMER)
    state = f"{unit.enabled or 'absent'}, {unit.active}" if unit else "absent"
    path = f"{UNITS}/{TIMER}"
    former = states[path]
    changed = former is None or former.text != texts[path]
    if state == "enabled, active" and not changed:
        return None
    start: tuple[Deed, ...] = (
        RunCommand(argv=("systemctl", "enable", "--quiet", TIMER)),
        RunCommand(argv=("systemctl", "restart", TIMER)),
    )
    return Change(
        id="publisher.timer",
        title=f"start {TIMER}",
        why="metrics flow before their alarms are made (M2)",
        deeds=start,
        undo=(RunCommand(argv=("systemctl", "disable", "--now", TIMER)),),
        before=state,
        after="enabled, active",
    )


METRICS_PACKAGES = Stage(
    "metrics-packages", lambda _: {"installed": packages.INSTALLED}, plan_packages
)
METRICS_IDENTITY = Stage(
    "metrics-identity",
    lambda s: iam_user.facts(s.monitoring.host_iam_user, POLICY_NAME, s.monitoring.host_key_secret),
    plan_identity,
)
PUBLISHER = Stage("publisher", facts, plan)
