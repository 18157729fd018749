"""The metrics publisher on the host: its user, and its key's file without the secret in it."""

from dataclasses import dataclass

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion


def user_exists(name: str) -> Fact[bool]:
    """Whether the host has that user."""
    question = ShellQuestion(("getent", "passwd", name), accept=(0, 2))
    return Fact("host_user", question, lambda answer: answer.exit_code == 0)


@dataclass(frozen=True)
class KeyFile:
    """A credentials file: who may read it, and which key it holds (its id, never its secret)."""

    owner: str
    mode: str  # "0600"
    key_id: str


_KEY_SCRIPT = (
    'test -e "$1" || { echo absent; exit 0; }; stat -c "%U %a" "$1"; '
    's=$(sed -n "s/^aws_access_key_id *= *//p" "$1"); echo "${s:--}"'
)


def key_file(path: str) -> Fact[KeyFile | None]:
    """The credentials file as it is; None: there is none."""

    def read(answer: ShellAnswer) -> KeyFile | None:
        lines = answer.stdout.splitlines()
        if lines == ["absent"]:
            return None
        if len(lines) != 2:
            raise UnreadableAnswer("not the state of a credentials file", f"{len(lines)} lines")
        owner, mode = lines[0].split()
        return KeyFile(owner, mode.zfill(4), lines[1])

    return Fact("key_file", ShellQuestion(("sh", "-c", _KEY_SCRIPT, "key", path), sudo=True), read)
