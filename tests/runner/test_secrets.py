"""No secret in anything a run leaves (R5, failure 26)."""

import base64
import json
from pathlib import Path

from chronos_ops.evidence.manifest import differences
from chronos_ops.model.result import Verdict
from chronos_ops.runner import execute
from tests.runner.probing import spec

SECRET = "hunter2secret"
SPLIT = """import sys, os, time
sys.stdout.write('hunter2'); sys.stdout.flush(); time.sleep(0.4)
sys.stdout.write('secret\\n'); sys.stdout.flush()
open(os.path.join(os.environ['CHRONOS_RUN_DIR'], 'logs', 'raw'), 'w').write('x hunter2secret')"""
SHOWN = """from IPython.display import display
data = {'text/plain': 'a', 'application/json': {'p': 'hunter2secret'}}
display(data, raw=True, metadata={'m': 'hunter2secret'})
'hunter2secret'.encode().hex()"""


def test_no_file_of_a_run_holds_a_secret(tmp_path: Path) -> None:
    cells = [
        ("tell", "step", "run.step('tell', tells_secrets)"),
        ("split", "", SPLIT),
        ("shown", "", SHOWN),
        ("fail", "step", "password = 'hunter2' + 'secret'\nraise ValueError(password)"),
    ]
    result = execute(spec(tmp_path, cells))
    (folder,) = (p.parent for p in (tmp_path / "outputs/probe").glob("*/result.json"))
    assert result.verdict is Verdict.FAILED
    assert "***" in result.reasons[0]
    forms = [
        SECRET.encode(),
        SECRET.encode().hex().encode(),
        base64.b64encode(SECRET.encode()).rstrip(b"="),
    ]
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            # The cell's own source names it in two halves: that is the author's text, not output.
            for form in forms:
                assert content.count(form) == 0, f"{form!r} in {path.name}"
    notebook = json.loads((folder / "executed.ipynb").read_text())
    streams = [
        output["text"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]
    assert streams == ["***\n"]
    assert differences(folder) == []
