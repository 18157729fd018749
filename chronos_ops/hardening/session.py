"""The steps of the hardening runbook, as its cells name them: `run.hardening.judges` and others.

A proof looks from outside, by tools that are not ours; a new one is a function of the context that
gives an Outcome with findings, and a line here.
"""

from chronos_ops.hardening.access_document import access_document
from chronos_ops.hardening.audit import audit_after, audit_before
from chronos_ops.hardening.bans import ban_proof
from chronos_ops.hardening.before_after import before_after
from chronos_ops.hardening.config_files import config_files
from chronos_ops.hardening.dns_checks import certificate_checks
from chronos_ops.hardening.firewalls import firewalls
from chronos_ops.hardening.judges import judges
from chronos_ops.hardening.logins import outside_logins
from chronos_ops.hardening.outside import outside_before, outside_ports
from chronos_ops.hardening.outside_database import outside_database
from chronos_ops.hardening.renewal import renewal
from chronos_ops.hardening.served import served_certificate
from chronos_ops.hardening.still_working import still_working
from chronos_ops.hardening.updates import updates

__all__ = [
    "access_document",
    "audit_after",
    "audit_before",
    "ban_proof",
    "before_after",
    "certificate_checks",
    "config_files",
    "firewalls",
    "judges",
    "outside_before",
    "outside_database",
    "outside_logins",
    "outside_ports",
    "renewal",
    "served_certificate",
    "still_working",
    "updates",
]
