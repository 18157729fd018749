"""A file that a plan keeps as it wants it: one change, with an exact undo."""

from collections.abc import Mapping

from chronos_ops.facts.files import FileState
from chronos_ops.model.plan import Change, Deed, RemoveFile, WriteFile

States = Mapping[str, FileState | None]


def put_back(path: str, states: States) -> Deed:
    """The deed that makes the file as it was: its text, owner and mode, or its absence."""
    former = states[path]
    if former is None:
        return RemoveFile(path=path)
    return WriteFile(
        path=path, content=former.text, owner=former.owner, group=former.group, mode=former.mode
    )


def file_change(
    identifier: str,
    title: str,
    why: str,
    path: str,
    text: str,
    states: States,
    *,
    mode: str = "",
    group: str = "",
    then: tuple[Deed, ...] = (),
    guard: bool = False,
) -> Change | None:
    """Write the file, then do `then` (so does the undo); None: it says this already.

    Owner and mode of a file that is there are kept, unless given.
    """
    former = states[path]
    wanted_mode = mode or (former.mode if former else "0644")
    wanted_group = group or (former.group if former else "root")
    kept = None if former is None else (former.text, former.mode, former.group)
    if kept == (text, wanted_mode, wanted_group):
        return None
    write = WriteFile(
        path=path,
        content=text,
        owner=former.owner if former else "root",
        group=wanted_group,
        mode=wanted_mode,
    )
    shown = "" if former is None else former.text
    return Change(
        id=identifier,
        title=title,
        why=why,
        deeds=(write, *then),
        undo=(put_back(path, states), *then),
        before=shown if shown != text else f"mode {former.mode if former else ''}",
        after=text if shown != text else f"mode {wanted_mode}",
        guard=guard,
    )


def lines_set(text: str, wanted: Mapping[str, str]) -> str:
    """`KEY value` lines (login.defs): each wanted key has its value once; the rest stays."""
    lines: list[str] = []
    done: set[str] = set()
    for line in text.splitlines():
        key = line.split()[0] if line.strip() and not line.startswith("#") else ""
        if key not in wanted:
            lines.append(line)
        elif key not in done:
            same = line.split()[1:] == wanted[key].split()
            lines.append(line if same else f"{key}\t{wanted[key]}")
            done.add(key)
    lines += [f"{key}\t{value}" for key, value in wanted.items() if key not in done]
    return "\n".join(lines) + "\n"
