"""A value that must not be seen (R5)."""

from typing import Any


class Secret:
    """Holds a secret; `reveal()` is the only way to its text.

    Not a `str`: formatting, quoting, JSON or pickling never give the text away by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not serialisable")
