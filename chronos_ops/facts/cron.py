"""Jobs that somebody else schedules: lines of cron and units that call a program."""

from dataclasses import dataclass

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_SCRIPT = (
    "for f in /etc/crontab /etc/cron.*/* /var/spool/cron/crontabs/* "
    "/etc/systemd/system/*.service /etc/systemd/system/*/*.conf; do "
    '[ -f "$f" ] || continue; case "$f" in *chronos-*) continue ;; esac; '
    'grep -Hs -- "$1" "$f" || true; done'
)


@dataclass(frozen=True)
class Job:
    """One line that is in effect, and the file it stands in."""

    file: str
    line: str


def _read_jobs(answer: ShellAnswer) -> list[Job]:
    found: list[Job] = []
    for text in lines(answer):
        file, separator, line = text.partition(":")
        if not separator or not file.startswith("/"):
            raise UnreadableAnswer("not a line of grep -H", text[:120])
        if not line.lstrip().startswith(("#", ";", "Description", "Documentation")):
            found.append(Job(file, line.strip()))
    return found


def jobs(program: str = "pgbackrest") -> Fact[list[Job]]:
    """Lines of cron and of service units, not our own, that name the program."""
    question = ShellQuestion(("sh", "-c", _SCRIPT, "jobs", program), sudo=True)
    return Fact("scheduled_jobs", question, _read_jobs)
