"""`pgbackrest verify`, judged by its text: it exits 0 on errors (B9)."""

import re
from dataclasses import dataclass

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_WAL = re.compile(r"archiveId: (\S+), total WAL checked: (\d+), total valid WAL: (\d+)")
_BACKUP = re.compile(
    r"backup: (\S+), status: ([\w -]+), total files checked: (\d+), total valid files: (\d+)"
)


@dataclass(frozen=True)
class Verification:
    """What was read again, and what of it was whole."""

    stanza: str
    status: str  # "ok" alone is good
    wal_checked: int
    wal_valid: int
    backups: tuple[tuple[str, str], ...]  # (label, "valid" or what is wrong)
    files_checked: int
    files_valid: int
    complaints: tuple[str, ...]  # lines that name something wrong


def _wrong(line: str) -> bool:
    counts = re.findall(r"(?:missing|invalid|other): (\d+)", line)
    return any(int(count) for count in counts) or line.strip().startswith(("No ", "no "))


def _read(answer: ShellAnswer) -> Verification:
    found = lines(answer)
    text = "\n".join(found)
    stanza = re.search(r"^stanza: (\S+)$", text, re.MULTILINE)
    status = re.search(r"^status: (.+)$", text, re.MULTILINE)
    if stanza is None or status is None:
        raise UnreadableAnswer(
            "verify said nothing that can be judged",
            (answer.stdout + answer.stderr)[:300] or "(no output)",
            hint="on success it prints nothing unless --verbose is given",
        )
    wal = _WAL.findall(text)
    backups = _BACKUP.findall(text)
    subject = ""
    complaints: list[str] = []
    for line in found:
        if "status: invalid" in line or "archiveId" in line or "backup:" in line:
            subject = line.strip().split(",")[0]
        if _wrong(line):
            complaints.append(f"{subject} {line.strip()}".strip())
    return Verification(
        stanza=stanza[1],
        status=status[1].strip(),
        wal_checked=sum(int(item[1]) for item in wal),
        wal_valid=sum(int(item[2]) for item in wal),
        backups=tuple((item[0], item[1]) for item in backups),
        files_checked=sum(int(item[2]) for item in backups),
        files_valid=sum(int(item[3]) for item in backups),
        complaints=tuple(complaints),
    )


def verification(stanza: str, repo: int, label: str = "") -> Fact[Verification]:
    """Read a repository again (it takes its time), or one backup set of it with its WAL."""
    argv = (
        "pgbackrest",
        f"--stanza={stanza}",
        f"--repo={repo}",
        *((f"--set={label}",) if label else ()),
        "--job-retry=1",  # at once; the default pauses 15 s for each file of a broken bundle
        "--log-level-console=off",
        "--output=text",
        "--verbose",
        "verify",
    )
    return Fact("verification", ShellQuestion(argv, user="postgres"), _read)
