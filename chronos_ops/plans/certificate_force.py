"""certbot's unit told, for one start, to renew what is not due yet; and what undoes it (H4).

What is told lies in /run, is read when the unit starts (its drop-in), and goes with the unit's end.
certbot takes options from the user's configuration directory beside its own.
"""

from chronos_ops.facts.certbot import Renewal
from chronos_ops.model.plan import Change, Deed, RunCommand, WriteFile

FORCED = "/run/chronos-certificate"
FORCED_FILE = f"{FORCED}/environment"
FORGET = RunCommand(argv=("rm", "-rf", FORCED))
_KEY = "renew_before_expiry"


def force(name: str) -> tuple[Deed, ...]:
    """The certificate of that name is renewed at the next start, and no other."""
    options = f"force-renewal = true\ncert-name = {name}\n"
    return (
        WriteFile(path=f"{FORCED}/letsencrypt/cli.ini", content=options),
        WriteFile(path=FORCED_FILE, content=f"XDG_CONFIG_HOME={FORCED}\n"),
    )


def foreign_schedule(name: str, found: Renewal | None, told: str | None) -> list[Change]:
    """What makes a renewal come at another time than certbot's own: an interrupted proof, a hand.

    A certificate that is always due is renewed twice a day, up to the authority's rate limit.
    """
    changes = []
    if told is not None:
        changes.append(
            Change(
                id="certificate.told-to-renew",
                title="forget that the next start of certbot's unit shall renew",
                why="a proof of the renewal was interrupted",
                deeds=(FORGET,),
                before=told,
            )  # no undo: it is a rest of another run
        )
    if found is not None and found.renew_before:
        path = f"/etc/letsencrypt/renewal/{name}.conf"
        line = f"{_KEY} = {found.renew_before}"
        changes.append(
            Change(
                id="certificate.renew-before",
                title="leave the moment of the renewal to certbot",
                why=f"{path} has a moment of its own: too early meets the authority's rate limit, "
                "too late the expiry (H4)",
                deeds=(
                    RunCommand(argv=("sed", "-i", f"/^[[:space:]]*{_KEY}[[:space:]]*=/d", path)),
                ),
                undo=(RunCommand(argv=("sed", "-i", f"1i {line}", path)),),
                before=f"{line}\n",
                after="a third of its life before the end (half of a short one)\n",
            )
        )
    return changes
