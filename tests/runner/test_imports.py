"""A run starts quickly: what it does not need before the kernel is not imported."""

import json
import subprocess
import sys

CODE = """
import json, sys, time
import chronos_ops.cli, chronos_ops.runner
checked = [m for m in HEAVY if sys.modules.get(m)]
import chronos_ops.runner_engine
print(json.dumps([checked, [m for m in HEAVY if sys.modules.get(m)], time.process_time()]))
"""
HEAVY = ["boto3", "fabric", "psycopg", "pandas", "matplotlib", "nbconvert", "rfc3987_syntax"]


def test_before_the_kernel_starts_little_is_imported() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {HEAVY!r}{CODE}"],
        capture_output=True,
        text=True,
        check=True,
    )
    checked, driven, cpu_seconds = json.loads(answer.stdout)
    assert checked == []
    assert driven == []
    assert cpu_seconds < 1.5
