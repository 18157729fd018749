"""A kernel's outputs: one object a step that updates in place, redacted before they leave."""

import threading
import uuid
from typing import Any

from IPython import get_ipython
from IPython.display import publish_display_data

from chronos_ops.evidence.display import bundle
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.steps import StepRecord

# Messages by which a kernel shows something: each carries text that ends in the notebook.
_SHOWN = {
    "stream",
    "display_data",
    "update_display_data",
    "execute_result",
    "error",
    "execute_reply",
    "input_request",
}


class Display:
    """The one output of a step: a line while it works, its record at the end."""

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._there = False
        self._lock = threading.Lock()  # a step may speak from several threads

    def line(self, text: str) -> None:
        """Show this line in the place of the last one."""
        self._show({"text/plain": text})

    def record(self, record: StepRecord, chart: str = "", banner: str = "") -> None:
        """Show the step's record in the place of the line; see `display.bundle`."""
        self._show(bundle(record, chart, banner))

    def _show(self, data: dict[str, Any]) -> None:
        if get_ipython() is None:  # imported by a script or a test
            return
        publish: Any = publish_display_data  # untyped
        with self._lock:
            publish(data, transient={"display_id": self._id}, update=self._there)
            self._there = True


def redact_outputs(redactor: Redactor) -> None:
    """From now on every message of this kernel that is shown somewhere is redacted (R5).

    The runner does it again on the whole notebook: a text that was split over two messages is
    whole only there.
    """
    shell = get_ipython()
    session = getattr(getattr(shell, "kernel", None), "session", None)
    if session is None:
        return
    send = getattr(session.send, "unredacted", session.send)

    def redacted(stream: Any, message: Any, content: Any = None, *args: Any, **more: Any) -> Any:
        kind = message if isinstance(message, str) else message.get("msg_type", "")
        if kind in _SHOWN:
            if isinstance(message, str):
                content = redactor.data(content)
            else:
                message = {**message, "content": redactor.data(message["content"])}
        return send(stream, message, content, *args, **more)

    redacted.unredacted = send  # type: ignore[attr-defined]
    session.send = redacted


def interactive() -> bool:
    """True where a person can be asked: the frontend that sent this cell accepts `input()`."""
    shell = get_ipython()
    parent = getattr(shell, "parent_header", None) or {}
    return bool(parent.get("content", {}).get("allow_stdin", False))


def read_line(prompt: str) -> str:
    """What the person types."""
    return input(prompt)
