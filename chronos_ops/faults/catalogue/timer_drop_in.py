"""The unit's file is as it was written; a drop-in beside it says something else."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site

_DROP_IN = "/etc/systemd/system/chronos-backup-full.timer.d/quiet.conf"
_TEXT = "[Timer]\nOnCalendar=\nOnCalendar=*-01-01 02:00:00 UTC\n"


class TimerDropIn(Fault):
    id = "timer_drop_in"
    number = 7
    title = "A drop-in moves a timer to once a year"
    what = "the timer is enabled and waits, as it should, for the first of January"
    finding = "backup.units.own-files"

    def inject(self, site: Site) -> None:
        site.ssh.put(_DROP_IN, _TEXT)
        site.shell("systemctl daemon-reload; systemctl restart chronos-backup-full.timer")

    def undo(self, site: Site) -> None:
        site.shell(
            f"rm -r {_DROP_IN.rpartition('/')[0]}; systemctl daemon-reload; "
            "systemctl restart chronos-backup-full.timer"
        )


FAULT = TimerDropIn()
