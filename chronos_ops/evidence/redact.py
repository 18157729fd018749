"""Secrets and their encodings are replaced by *** in whatever a run writes (R5)."""

import base64
import html
import json
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from chronos_ops.model.secret import Secret

MASK = "***"
# Shorter texts occur by chance everywhere: replacing them would only destroy the record.
SHORTEST = 4
_ANSI = r"(?:\x1b\[[0-9;]*m)*"
_PEM_LINE = 20  # one line of a key is a secret too: diffs and tracebacks show them singly


def encodings(text: str) -> set[str]:
    """The ways in which a secret text may appear in an output."""
    raw = text.encode()
    forms = {
        text,
        raw.hex(),
        raw.hex().upper(),
        quote(text),
        quote(text, safe=""),
        quote_plus(text),
        shlex.quote(text)[1:-1] if shlex.quote(text) != text else text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
        html.escape(text),
        html.escape(text, quote=False),
        text.replace("'", "''"),  # SQL literal
    }
    for form in tuple(forms):  # JSON in JSON, and either in a page
        forms |= {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]}
    forms |= {html.escape(form) for form in tuple(forms)}
    forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    forms |= set(_base64_forms(raw))
    forms |= {line.strip() for line in text.splitlines() if _secret_line(line)}
    return {form for form in forms if len(form) >= min(SHORTEST, len(text))}


def _secret_line(line: str) -> bool:
    return len(line.strip()) >= _PEM_LINE and not line.startswith("-----")


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Base64 at each of the three alignments ("user:password" too), without the uncertain ends."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw)
        first = -(-shift * 8 // 6)  # characters that also hold bits of what stands before
        last = (shift + len(raw)) * 8 // 6
        text = whole[first:last].decode()
        if len(text) >= 6:
            yield text
            yield text.replace("+", "-").replace("/", "_")


def _any_case_of_percent(form: str) -> str:
    return re.sub(r"%([0-9A-F]{2})", r"%(?i:\1)", re.escape(form))


def _offset(text: str, dense: int) -> int:
    """Where in a text its so-and-so-manieth character that is no white space stands."""
    seen = -1
    for offset, character in enumerate(text):
        seen += not character.isspace()
        if seen == dense:
            return offset
    return 0


class Redactor:
    """Knows the secrets of a run. Thread-safe; secrets may be added at any time."""

    def __init__(self, *secrets: Secret) -> None:
        self._forms: set[str] = set()
        self._raw: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._coloured: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """From now on this text is redacted. Texts under four characters are not."""
        text = secret.reveal()
        with self._lock:
            for known in {text, text.strip()}:
                if len(known) >= SHORTEST:
                    self._raw.add(known)
                    self._forms |= encodings(known)
            if not self._forms:
                return
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(_any_case_of_percent, longest_first)))
            # A traceback's colours may stand between any two characters.
            raw = sorted(self._raw, key=len, reverse=True)
            self._coloured = re.compile("|".join(_ANSI.join(map(re.escape, t)) for t in raw))

    def text(self, text: str) -> str:
        """The text with every known secret replaced."""
        if self._pattern is None or self._coloured is None:
            return text
        text = self._pattern.sub(MASK, text)
        return self._coloured.sub(MASK, text) if "\x1b[" in text else text

    def places(self, text: str, *, squeezed: int) -> list[int]:
        """Offsets of known secrets, in any encoding; also of those that white space cuts in
        pieces, if they have at least `squeezed` characters.
        """
        if self._pattern is None or self._coloured is None:
            return []
        found = [match.start() for match in self._pattern.finditer(text)]
        if "\x1b[" in text:
            found += [match.start() for match in self._coloured.finditer(text)]
        dense = "".join(text.split())
        for form in self._forms:
            bare = "".join(form.split())
            if not found and len(bare) >= squeezed and (at := dense.find(bare)) >= 0:
                found.append(_offset(text, at))
        return sorted(found)

    def data(self, value: Any) -> Any:
        """A copy of JSON-like data with every secret replaced, in keys, texts and numbers."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.data(key): self.data(item) for key, item in value.items()}
            case list() | tuple():
                return [self.data(item) for item in value]
            case bool() | None:
                return value
            case int() | float():
                return MASK if self.text(str(value)) != str(value) else value
            case _:
                return value

    def file(self, path: Path) -> bool:
        """Redact a file in place; True if something was found. Binary files too."""
        if self._pattern is None:
            return False
        before = path.read_bytes().decode("utf-8", errors="surrogateescape")
        after = self.text(before)
        if after == before:
            return False
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(after.encode("utf-8", errors="surrogateescape"))
        temporary.replace(path)
        return True
