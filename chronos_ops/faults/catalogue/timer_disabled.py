"""Nobody backs up any more, and nothing fails."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site

_TIMER = "chronos-backup-diff.timer"


class TimerDisabled(Fault):
    id = "timer_disabled"
    number = 7
    title = "A backup timer is disabled"
    what = "switched off for a maintenance, and never on again"
    finding = "backup.timer.diff"

    def inject(self, site: Site) -> None:
        site.ssh.run(["systemctl", "disable", "--now", _TIMER], sudo=True)

    def undo(self, site: Site) -> None:
        site.ssh.run(["systemctl", "enable", "--now", _TIMER], sudo=True)


FAULT = TimerDisabled()
