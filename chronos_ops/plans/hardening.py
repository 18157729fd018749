"""The stages of the hardening runbook, in the order in which they are applied."""

from chronos_ops.plans.hardening_packages import PACKAGE_LISTS, PACKAGES

# Packages come first: no later stage may find a tool missing. SSH is hardened before the firewall,
# each behind the lock-out guard.
STAGES = (PACKAGE_LISTS, PACKAGES)

__all__ = ["PACKAGES", "PACKAGE_LISTS", "STAGES"]
