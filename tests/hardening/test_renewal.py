"""A renewal is told to certbot's unit and taken back, whatever comes in between (H4)."""

from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.hardening.renewal import forced
from chronos_ops.model.errors import TransportError
from chronos_ops.plans.certificate_force import FORCED, FORGET
from tests.hardening.looking import a_context


class Host:
    """What was written and run; `gone`: it does not answer any more."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.gone = False

    def put(self, path: str, content: str, **_: Any) -> None:
        self._answer()
        self.files[path] = content

    def run(self, argv: Any, **_: Any) -> None:
        self._answer()
        assert list(argv) == ["rm", "-rf", FORCED]
        self.files = {p: t for p, t in self.files.items() if not p.startswith(f"{FORCED}/")}

    def _answer(self) -> None:
        if self.gone:
            raise TransportError("lost its connection")


def told(folder: Path) -> tuple[Any, Host]:
    host = Host()
    context = a_context(folder)
    object.__setattr__(context, "ssh", cast(Ssh, host))
    return context, host


def test_it_is_journalled_first_and_nothing_is_left(tmp_path: Path) -> None:
    context, host = told(tmp_path)
    with forced(context, "db.example"):
        assert pending_resources(tmp_path) == [("renewal:forced", [FORGET])]
        assert host.files == {
            f"{FORCED}/environment": f"XDG_CONFIG_HOME={FORCED}\n",
            f"{FORCED}/letsencrypt/cli.ini": "force-renewal = true\ncert-name = db.example\n",
        }
    assert host.files == {}
    assert pending_resources(tmp_path) == []


def test_a_step_that_breaks_takes_it_back_and_one_that_cannot_leaves_it_to_reap(
    tmp_path: Path,
) -> None:
    context, host = told(tmp_path)
    with pytest.raises(KeyboardInterrupt), forced(context, "db.example"):
        raise KeyboardInterrupt
    assert (host.files, pending_resources(tmp_path)) == ({}, [])
    with pytest.raises(TransportError), forced(context, "db.example"):
        host.gone = True
    assert isinstance(context.journal, FileJournal)
    assert pending_resources(tmp_path) == [("renewal:forced", [FORGET])]
