"""What a wall-clock time would have meant in the other zones: the mend of a moment out of reach.

The host, the database and the operator each show the time in a zone of their own (failures 11).
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.errors import ChronosError

_HOST = "cat /etc/timezone 2>/dev/null || readlink /etc/localtime | sed 's|.*/zoneinfo/||'"
_DATABASE = "SELECT reset_val AS zone FROM pg_settings WHERE name = 'TimeZone'"
_WALL = re.compile(r"\btime:(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)")


def other_readings(ssh: Ssh, words: str) -> list[str]:
    """The same wall-clock time in the host's and the database's zone, as UTC; none: not a time,
    or both are UTC."""
    wall = _WALL.search(words)
    if wall is None:
        return []
    try:
        zones = {
            "host": ssh.run(["sh", "-c", _HOST]).stdout.strip(),
            "database": str(ssh.sql_rows(_DATABASE)[0]["zone"]),
        }
    except ChronosError:  # only the hint is shorter for it
        return []
    naive = datetime.fromisoformat(wall[1])
    told = [reading(naive, whose, name) for whose, name in zones.items()]
    return [text for text in told if text]


def reading(naive: datetime, whose: str, name: str) -> str:
    """One of them, in words; empty where it is UTC itself, or no zone that is known here."""
    try:
        moment = naive.replace(tzinfo=ZoneInfo(name)).astimezone(UTC)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""
    if moment == naive.replace(tzinfo=UTC):
        return ""
    return f"read in the {whose}'s zone ({name}) it is {moment.isoformat()}"
