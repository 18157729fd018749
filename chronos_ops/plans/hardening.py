"""The stages of the hardening runbook, in the order in which they are applied."""

from chronos_ops.plans.access import DATABASE_ACCESS
from chronos_ops.plans.baseline import BASELINE
from chronos_ops.plans.certificate import CERTIFICATE
from chronos_ops.plans.fail2ban import BANS
from chronos_ops.plans.hardening_packages import PACKAGE_LISTS, PACKAGES
from chronos_ops.plans.lightsail_ports import LIGHTSAIL_FIREWALL
from chronos_ops.plans.postgres_baseline import POSTGRES_BASELINE, POSTGRES_CHECKSUMS
from chronos_ops.plans.postgres_hba import POSTGRES_HBA
from chronos_ops.plans.postgres_tls import POSTGRES_TLS
from chronos_ops.plans.ssh import SSH
from chronos_ops.plans.ufw import HOST_FIREWALL
from chronos_ops.plans.updates import UPDATES

# Packages come first: no later stage may find a tool missing. The certificate comes after the
# firewall: what opens port 80 for a challenge must be tried behind it.
STAGES = (
    PACKAGE_LISTS,
    PACKAGES,
    BASELINE,
    POSTGRES_BASELINE,
    POSTGRES_CHECKSUMS,
    SSH,
    HOST_FIREWALL,
    LIGHTSAIL_FIREWALL,
    BANS,
    UPDATES,
    CERTIFICATE,
    DATABASE_ACCESS,  # the operators' role: the proofs from outside come as it
    POSTGRES_TLS,
    POSTGRES_HBA,
)

__all__ = [
    "BANS",
    "BASELINE",
    "CERTIFICATE",
    "DATABASE_ACCESS",
    "HOST_FIREWALL",
    "LIGHTSAIL_FIREWALL",
    "PACKAGES",
    "PACKAGE_LISTS",
    "POSTGRES_BASELINE",
    "POSTGRES_CHECKSUMS",
    "POSTGRES_HBA",
    "POSTGRES_TLS",
    "SSH",
    "STAGES",
    "UPDATES",
]
