"""The last look before a run is sealed: what holds a secret is not signed and not sent (R5).

Object Lock would keep a secret for years. Two kinds are looked for: what the run is known to have
handled, in every encoding and also cut in pieces; and what looks like a secret. The places are
told, never the values.
"""

import bisect
import fnmatch
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_ops.evidence.manifest import MANIFEST
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.secret_looks import looks_in
from chronos_ops.model.archive import Allowed

KNOWN = "known-secret"
_PIECES = 8  # shorter secrets are not looked for across outputs: chance would find them
_TAGS = re.compile(r"<[^<>]{0,2000}>")
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|svg\+xml);base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True, order=True)
class Place:
    """Where something was found: a file of the run, a line or cell in it, and by which rule."""

    file: str
    where: str
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}, {self.where}: {self.what} ({self.rule})"


def look_over(folder: Path, redactor: Redactor, allowed: Iterable[Allowed] = ()) -> list[Place]:
    """Every place of a run's folder that holds a secret. Raises OSError."""
    allowed = tuple(allowed)
    found: set[Place] = set()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        raw = path.read_bytes().decode("utf-8", "surrogateescape")
        for where, text in _texts(name, raw):
            found |= set(_look(name, where, text, redactor, allowed))
    return sorted(found)


def _texts(name: str, raw: str) -> Iterator[tuple[str, str]]:
    """The file as it is, and what it says once its own escapes are undone."""
    yield "", raw
    if name == MANIFEST:
        return
    if name.endswith(".ipynb"):
        yield from _notebook_texts(raw)
    elif name.endswith(".json"):
        yield from _json_texts(raw, "")
    elif name.endswith(".jsonl"):
        for number, line in enumerate(raw.split("\n"), start=1):
            if "\\" in line:
                yield from _json_texts(line, f"line {number}, ")


def _look(
    name: str, where: str, text: str, redactor: Redactor, allowed: tuple[Allowed, ...]
) -> Iterator[Place]:
    lines: list[int] = []

    def place(offset: int) -> str:
        if not lines:
            lines.extend(m.start() for m in re.finditer("\n", text))
        number = bisect.bisect_left(lines, offset) + 1
        return f"{where}line {number}" if where or number or name else ""

    for offset in redactor.places(text, squeezed=_PIECES):
        yield Place(name, place(offset), KNOWN, "a secret of this run")
    bare = _IMAGE.sub("", text) if "data:image/" in text else text
    for look, offset, value in looks_in(bare):
        if not any(_excepted(one, look.rule, name, value) for one in allowed):
            at = place(offset) if bare is text else place(max(text.find(value), 0))
            yield Place(name, at, look.rule, look.what)


def _excepted(one: Allowed, rule: str, name: str, value: str) -> bool:
    return (
        one.rule == rule
        and fnmatch.fnmatchcase(name, one.file)
        and re.fullmatch(one.text, value) is not None
    )


# -- what files say


def _json_texts(raw: str, where: str) -> Iterator[tuple[str, str]]:
    """All strings of a JSON text, one below the other, where escapes hide something."""
    if "\\" not in raw:
        return
    try:
        data = json.loads(raw)
    except ValueError:
        return
    strings = [text for text in _strings(data) if "\n" in text or '"' in text or "\\" in text]
    for text in strings:
        yield f"{where}a value, ", text


def _strings(data: Any) -> Iterator[str]:
    match data:
        case str():
            yield data
        case list():
            for item in data:
                yield from _strings(item)
        case dict():
            for key, item in data.items():
                yield key
                yield from _strings(item)


def _notebook_texts(raw: str) -> Iterator[tuple[str, str]]:
    """Each output of each cell, and all of them together: a secret may be split over them."""
    try:
        cells = json.loads(raw)["cells"]
        together: list[str] = []
        for number, cell in enumerate(cells, start=1):
            called = f"cell {cell.get('id') or number}"
            yield f"{called}, source, ", _joined(cell.get("source", ""))
            for count, output in enumerate(cell.get("outputs", []), start=1):
                texts = list(_output_texts(output))
                for text in texts:
                    yield f"{called}, output {count}, ", text
                together += [text.strip() for text in texts[:1]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    yield "split over outputs, ", "".join(together)


def _output_texts(output: dict[str, Any]) -> Iterator[str]:
    """Of one output: what a reader sees first, then its other forms."""
    kind = output.get("output_type")
    if kind == "stream":
        yield _joined(output.get("text", ""))
    elif kind == "error":
        yield f"{output.get('ename')}: {output.get('evalue')}"
        yield _uncoloured("\n".join(output.get("traceback", [])))
    else:
        data = output.get("data", {})
        for mime in sorted(data, key=lambda m: (m != "text/plain", m)):
            if mime == "application/vnd.chronos+json" or not isinstance(data[mime], str | list):
                yield "\n".join(_strings(data[mime]))
                continue
            text = _joined(data[mime])
            yield _TAGS.sub("", text) if mime == "text/html" else text


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


def _uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
