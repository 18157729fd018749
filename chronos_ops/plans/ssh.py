"""SSH by key alone, never for root, with current algorithms: a drop-in that wins (H3, H9)."""

from fnmatch import fnmatchcase
from typing import Any

from chronos_ops.facts.sshd import DIRECTORY, MAIN, SSHD, Sshd, lines_read
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.ssh_wanted import DOORS, strong_keys, wanted_values, wrong_values

NAME = "ssh"
PATH = f"{DIRECTORY}/00-chronos.conf"
_CANDIDATE = f"{DIRECTORY}/00-chronos.conf.new"  # no *.conf: sshd does not read it yet
_INCLUDE = f"# chronos-ops: read before all else, sshd takes the first value\nInclude {PATH}\n"
_MODULI = "/etc/ssh/moduli"
_MODULI_BEFORE = "/etc/ssh/moduli.before-chronos"

# What sshd would not start with never takes the place of what it runs with.
_TRY = f"""
set -eu
[ -d /run/sshd ] || mkdir -m 0755 /run/sshd
t=$(mktemp); trap 'rm -f "$t"' EXIT
{{ echo 'Include {_CANDIDATE}'; cat {MAIN}; }} >"$t"
sshd -t -f "$t" || {{ rm -f {_CANDIDATE}; exit 1; }}
mv -f {_CANDIDATE} {PATH}
"""
_LOAD = """
set -eu
[ -d /run/sshd ] || mkdir -m 0755 /run/sshd
sshd -t
if systemctl is-active --quiet ssh.service; then systemctl reload ssh.service; fi
"""
# Unless a service runs (systemd's ssh.socket starts one for the next caller), nothing is to reload.
LOAD = RunCommand(argv=("sh", "-c", _LOAD), timeout_seconds=60)
_STRONG = "awk '/^#/ || $5 + 0 >= 3071'"
_FILTER = f"""
set -eu
{_STRONG} {_MODULI} >{_MODULI}.new
awk '!/^#/ {{n++}} END {{exit n < 1}}' {_MODULI}.new
cp -a {_MODULI} {_MODULI_BEFORE}
chmod --reference={_MODULI} {_MODULI}.new
mv -f {_MODULI}.new {_MODULI}
"""
# Only what this file was made from comes back, not the copy of an earlier time.
_UNFILTER = f"""
[ -e {_MODULI_BEFORE} ] || exit 0
if {_STRONG} {_MODULI_BEFORE} | cmp -s - {_MODULI}; then mv -f {_MODULI_BEFORE} {_MODULI}; fi
"""


def facts(_: Settings) -> dict[str, Fact[Any]]:
    """sshd as it is."""
    return {"sshd": SSHD}


def drop_in(settings: Settings, sshd: Sshd) -> str:
    """The text of our drop-in. Its last block keeps later Match blocks from opening a door."""
    wanted = wanted_values(settings, sshd)
    lines = ["# SSH by key alone (written by chronos-ops). sshd takes the first value it meets."]
    lines += [f"{keyword} {value}" for keyword, value in wanted.items()]
    lines += [f"HostKey {key.path}" for key in strong_keys(sshd.keys)]
    lines += ["Match all"]
    lines += [f"    {keyword} {value}" for keyword, value in DOORS.items() if keyword in wanted]
    return "\n".join(lines) + "\n"


def beaten_by(sshd: Sshd, text: str) -> list[str]:
    """Lines that sshd reads before our drop-in would be, and that it would take instead."""
    wanted: dict[str, str] = {}
    for setting in text.partition("Match all")[0].splitlines():
        keyword, _, ours = setting.partition(" ")
        wanted.setdefault(keyword.lower(), ours)
    ours_read = False
    found: list[str] = []
    for line in lines_read(sshd.texts | {PATH: text}):
        if line.path == PATH:
            ours_read = True
            break
        value = wanted.get(line.keyword)
        if value is not None and line.keyword != "hostkey" and line.value != value:
            found.append(f"{line.path}:{line.number} {line.text.strip()}")
    if not ours_read:
        found.append(f"{MAIN} does not include {DIRECTORY}/*.conf, or only for some connections")
    before = [f for f in sshd.files if DIRECTORY < f.path < PATH and f.path != MAIN]
    if not found and MAIN in sshd.texts and not _included_first(sshd.texts[MAIN]):
        found += [f"{f.path} has Match blocks" for f in before if "\nmatch " in _lower(f.text)]
    return found


def _lower(text: str) -> str:
    return "\n" + "\n".join(line.strip().lower() for line in text.splitlines())


def _included_first(text: str) -> bool:
    return text.startswith(_INCLUDE)


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """The drop-in, our line in the main file where the drop-in alone would not win, the moduli."""
    sshd: Sshd = values["sshd"]
    refusals = _refusals(settings, sshd)
    if refusals:
        return Plan(name=NAME, refusals=tuple(refusals))
    changes = [c for c in (_configuration(settings, sshd), _moduli(sshd)) if c is not None]
    if not changes and sshd.stale:
        changes.append(_reload())
    reason = f"{sshd.version}: keys only, no root, for everybody; {PATH} wins"
    return Plan(name=NAME, changes=tuple(changes), noop_reason="" if changes else reason)


def _refusals(settings: Settings, sshd: Sshd) -> list[str]:
    if sshd.error:
        return [f"sshd would not start with its files as they are ({sshd.error[:300]}): mend them"]
    found = []
    if not strong_keys(sshd.keys):
        have = ", ".join(f"{k.kind} {k.bits}" for k in sshd.keys) or "none"
        found.append(
            f"no strong host key (there is: {have}): run `ssh-keygen -A`, or replace the RSA key "
            "by one of 3072 bits, and pin the new key first"
        )
    found += _shut_out(settings.host.user, sshd)
    return found


def _shut_out(user: str, sshd: Sshd) -> list[str]:
    """Rules in the files (perhaps not loaded yet) that a reload would hold against us."""
    groups = set(sshd.operator[1:]) if sshd.operator[:1] == (user,) else None
    found = []
    allowed = _patterns(sshd, "allowusers")
    if allowed and not _matches(user, allowed):
        found.append(f"AllowUsers {' '.join(allowed)} does not admit {user}: add it first")
    if _matches(user, denied := _patterns(sshd, "denyusers")):
        found.append(f"DenyUsers {' '.join(denied)} shuts {user} out: take it out first")
    if groups is None:
        return found
    allowed = _patterns(sshd, "allowgroups")
    if allowed and not any(_matches(group, allowed) for group in groups):
        found.append(f"AllowGroups {' '.join(allowed)} admits no group of {user}: add one first")
    if any(_matches(group, denied := _patterns(sshd, "denygroups")) for group in groups):
        found.append(f"DenyGroups {' '.join(denied)} shuts {user} out: take it out first")
    return found


def _patterns(sshd: Sshd, keyword: str) -> list[str]:
    return [word for value in sshd.effective.get(keyword, ()) for word in value.split()]


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern.partition("@")[0]) for pattern in patterns)


def _configuration(settings: Settings, sshd: Sshd) -> Change | None:
    text = drop_in(settings, sshd)
    former = sshd.texts.get(PATH)
    wrong = wrong_values(settings, sshd)
    beaten = beaten_by(sshd, text)
    if former == text and not wrong and not beaten:
        return None
    deeds: list[Deed] = []
    undo: list[Deed] = [RemoveFile(path=_CANDIDATE)]
    if former != text:
        deeds += [
            WriteFile(path=_CANDIDATE, content=text, mode="0600"),
            RunCommand(argv=("sh", "-c", _TRY), timeout_seconds=60),
        ]
        undo.append(_put_back(sshd, PATH))
    before, after = former or "\n".join(wrong) + "\n", text
    if beaten:
        main = next(file for file in sshd.files if file.path == MAIN)
        rest = main.text.replace(_INCLUDE, "")
        deeds.append(WriteFile(path=MAIN, content=_INCLUDE + rest, mode=main.mode))
        undo.append(_put_back(sshd, MAIN))
        before += "".join(f"# read first: {line}\n" for line in beaten)
        after += f"# first line of {MAIN}: Include {PATH}\n"
    return Change(
        id="ssh.drop-in",
        title="let SSH take keys only, and never root",
        why=f"in effect now: {'; '.join(wrong) or 'as wanted, but by other files'}"[:600],
        deeds=(*deeds, LOAD),
        undo=(*undo, LOAD),
        before=before,
        after=after,
        guard=True,
    )


def _put_back(sshd: Sshd, path: str) -> Deed:
    for file in sshd.files:
        if file.path == path:
            return WriteFile(path=path, content=file.text, mode=file.mode)
    return RemoveFile(path=path)


def _moduli(sshd: Sshd) -> Change | None:
    """Prime numbers below 3071 bits are not offered for the group exchange."""
    if not sshd.weak_moduli or sshd.weak_moduli == sshd.moduli:
        return None
    if sshd.first("modulifile") not in ("", _MODULI):
        return None
    return Change(
        id="ssh.moduli",
        title=f"take {sshd.weak_moduli} of {sshd.moduli} prime numbers out of {_MODULI}",
        why="below 3071 bits a group exchange is no longer safe",
        deeds=(RunCommand(argv=("sh", "-c", _FILTER), timeout_seconds=60),),
        undo=(RunCommand(argv=("sh", "-c", _UNFILTER)),),
        before=f"{sshd.moduli} prime numbers, {sshd.weak_moduli} below 3071 bits",
        after=f"{sshd.moduli - sshd.weak_moduli} prime numbers; the former file beside it",
        guard=True,
    )


def _reload() -> Change:
    return Change(
        id="ssh.reload",
        title="let sshd read its files",
        why="they were changed after the running sshd had read them: another file counts",
        deeds=(LOAD,),
        undo=(LOAD,),
        before="running with an earlier configuration",
        after="running with the files as they are",
        guard=True,
    )


SSH = Stage(NAME, facts, plan)
