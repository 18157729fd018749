"""The executed notebook as it is kept: redacted, and honest about cells that never ran."""

import json
from typing import Any

from chronos_ops.evidence.redact import Redactor

_MARKER = "papermill-error-cell-tag"


def kept_notebook(notebook: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """A copy for the run's folder: streams joined (a secret may be split over two), redacted.

    papermill calls cells that never ran `completed`; here they are `not run`.
    """
    kept: dict[str, Any] = json.loads(json.dumps(notebook))
    kept["cells"] = [c for c in kept["cells"] if _MARKER not in c["metadata"].get("tags", [])]
    for cell in kept["cells"]:
        if cell["cell_type"] != "code":
            cell["metadata"].pop("papermill", None)
            continue
        cell["outputs"] = joined_streams(cell.get("outputs", []))
        if cell.get("execution_count") is None and "papermill" in cell["metadata"]:
            cell["metadata"]["papermill"] = {"status": "not run"}
    result: dict[str, Any] = redactor.data(kept)
    return result


def joined_streams(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each stream's text in one output, at the place of its first."""
    joined: list[dict[str, Any]] = []
    streams: dict[str, dict[str, Any]] = {}
    for output in outputs:
        if output.get("output_type") != "stream":
            joined.append(output)
            continue
        text = "".join(output["text"])
        known = streams.get(output["name"])
        if known is None:
            streams[output["name"]] = {**output, "text": text}
            joined.append(streams[output["name"]])
        else:
            known["text"] += text
    return joined


def notebook_text(notebook: dict[str, Any]) -> str:
    """The notebook's file content, as nbformat writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
