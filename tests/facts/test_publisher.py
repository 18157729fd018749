"""The key's file, asked by the very script that a host gets: its id, never its secret (R5)."""

import pwd
import subprocess
from pathlib import Path

import pytest

from chronos_ops.facts.publisher import KeyFile, key_file, user_exists
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import ShellAnswer, ShellQuestion


def asked(path: Path) -> ShellAnswer:
    question = key_file(str(path)).question
    assert isinstance(question, ShellQuestion)
    done = subprocess.run(question.argv, capture_output=True, text=True, check=True)
    return ShellAnswer(done.returncode, done.stdout)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[p]\naws_access_key_id = AKIA1\naws_secret_access_key = hush\n", "AKIA1"),
        ("[p]\naws_access_key_id=AKIA2\n", "AKIA2"),
        ("", "-"),
    ],
)
def test_a_key_file(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "credentials"
    path.write_text(text)
    path.chmod(0o600)
    answer = asked(path)
    assert "hush" not in answer.stdout
    owner = pwd.getpwuid(path.stat().st_uid).pw_name
    assert key_file(str(path)).parse(answer) == KeyFile(owner, "0600", key)


def test_none_and_nonsense(tmp_path: Path) -> None:
    fact = key_file(str(tmp_path / "none"))
    assert fact.parse(asked(tmp_path / "none")) is None
    with pytest.raises(UnreadableAnswer):
        fact.parse(ShellAnswer(0, "sh: stat: not found\n"))


def test_a_user() -> None:
    assert user_exists("x").parse(ShellAnswer(0, "x:*:1:1::/:/bin/sh\n")) is True
    assert user_exists("x").parse(ShellAnswer(2, "")) is False
