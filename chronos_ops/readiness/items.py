"""The ten items (R8). A new one is one entry."""

from chronos_ops.plans import backup, hardening, monitoring
from chronos_ops.readiness import looks
from chronos_ops.readiness.item import Evidence, Item

PREFLIGHT, BACKUP = "preflight", "pgbackrest_backup_restore"
HARDENING, MONITORING = "security_hardening", "cloudwatch_monitoring"
DRILL = "disaster_recovery"

ITEMS = (
    Item(
        id="database",
        title="Database with its extensions",
        requirements=("P3",),
        stages=(backup.PACKAGES,),
        looks=(looks.DATABASE,),
        evidence=(Evidence(PREFLIGHT, ("preflight.postgres", "preflight.extensions")),),
        mend=f"run {BACKUP}, then {PREFLIGHT}",
    ),
    Item(
        id="backups",
        title="Automated backups",
        requirements=("B1", "B3", "B4", "B6", "B9"),
        stages=(
            backup.BUCKET,
            backup.IAM_USER,
            backup.CIPHER,
            backup.PGBACKREST_CONFIG,
            backup.STANZA,
            backup.ARCHIVING,
            backup.BACKUP_JOBS,
            backup.TIMERS,
        ),
        looks=(looks.REPOSITORIES, looks.AGES, looks.SCHEDULE),
        evidence=(
            Evidence(
                BACKUP,
                (
                    "backup.archive.reaches-",
                    "backup.pgbackrest-check",
                    "backup.repo1.verified",
                    "backup.rights.",
                    "backup.passphrase-outside",
                    "backup.timer.",
                ),
            ),
        ),
        mend=f"run {BACKUP}",
    ),
    Item(
        id="pitr",
        title="Point-in-time recovery tested",
        requirements=("B5", "B8"),
        stages=(backup.ARCHIVING,),
        looks=(looks.ARCHIVING, looks.REPOSITORIES),
        evidence=(
            Evidence(BACKUP, ("backup.pitr", "backup.objective.", "backup.archive.continuous-")),
        ),
        mend=f"run {BACKUP} with pitr_test = True",
    ),
    Item(
        id="tls",
        title="Encrypted connections (TLS)",
        requirements=("H4", "H5"),
        stages=(hardening.CERTIFICATE, hardening.POSTGRES_TLS, hardening.POSTGRES_HBA),
        looks=(looks.CERTIFICATE,),
        evidence=(Evidence(HARDENING, ("database.", "certificate.")),),
        mend=f"run {HARDENING}",
    ),
    Item(
        id="firewall",
        title="Firewall",
        requirements=("H1", "H2"),
        stages=(hardening.HOST_FIREWALL, hardening.LIGHTSAIL_FIREWALL, hardening.BANS),
        looks=(looks.FIREWALLS,),
        evidence=(Evidence(HARDENING, ("firewall.", "outside.", "bans.proof")),),
        mend=f"run {HARDENING}",
    ),
    Item(
        id="ssh",
        title="SSH by keys only",
        requirements=("H3",),
        stages=(hardening.SSH,),
        looks=(looks.SSHD_EFFECTIVE,),
        evidence=(Evidence(HARDENING, ("ssh.effective", "logins.", "audit.ssh.")),),
        mend=f"run {HARDENING}",
    ),
    Item(
        id="alarms",
        title="Alarms",
        requirements=("M1", "M2", "M4", "M8"),
        stages=(monitoring.PUBLISHER, monitoring.ALARMS),
        looks=(looks.METRICS, looks.ALARM_STATES),
        evidence=(Evidence(MONITORING, ("monitoring.metrics-flow", "monitoring.alarm.")),),
        mend=f"run {MONITORING}",
    ),
    Item(
        id="email",
        title="Alarms by e-mail",
        requirements=("M3",),
        stages=(monitoring.NOTIFICATION,),
        looks=(looks.CHANNELS,),
        evidence=(
            Evidence(MONITORING, ("monitoring.email", "monitoring.actions", "monitoring.alarm.")),
        ),
        mend=f"run {MONITORING}, and confirm the e-mail",
    ),
    Item(
        id="drill",
        title="Disaster recovery runbook, drilled",
        requirements=("D5", "D6", "D8"),
        stages=(),
        looks=(looks.DR_DOCUMENT, looks.REPOSITORIES),
        evidence=(
            Evidence(DRILL, ("drill.integrity.", "drill.objective.", "drill.steady-state.")),
        ),
        mend=f"run {DRILL}",
    ),
    Item(
        id="documents",
        title="Operations documented",
        requirements=("H8", "M7", "R6", "R7"),
        stages=(),
        looks=(looks.DOCUMENTS,),
        evidence=(
            Evidence(HARDENING, ("access.document",), ("access.md",)),
            Evidence(MONITORING, ("monitoring.thresholds",), ("thresholds.md",)),
        ),
        mend=f"./chronos docs export; {HARDENING} and {MONITORING} write the rest",
    ),
)
