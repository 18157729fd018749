"""Ways in by SSH key: what sshd is told is listed and judged; what was not read is not known."""

import json
from typing import Any

import pytest

from chronos_ops.facts.audit import Readings
from chronos_ops.facts.ssh_access import SSH_ACCESS
from chronos_ops.hardening.access_document import _complete, _host_sections, _keys_unread
from chronos_ops.model.finding import Status
from chronos_ops.model.hardening import SshKeys
from chronos_ops.plans.controls import CONTROLS
from tests.plans.test_controls import SETTINGS, recorded, status

KEY = "256 SHA256:O/OABSg3J9TWaa7I3tQrhKORwbStmWhnhLqiMioM9xM operator@lab (ED25519)"
AUTHORITY = "256 SHA256:G8d/uOd6VYXpkIUpFPrxyczac8/Vv8iIFHnbv38VY+4 an authority (ED25519)"
USUAL = ["authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2", ["*"]]
ELSEWHERE = ["authorizedkeysfile", "/etc/ssh/more/%u", ["postgres"]]  # by a Match
PRINCIPALS = ["authorizedprincipalsfile", "/etc/p/%u", ["*"]]
COMMAND = ["authorizedkeyscommand", "/bin/false", ["*"]]
TRUSTED = ["trustedusercakeys", "/etc/ssh/ca.pub", ["*"]]
OPERATOR = ["admin", "/home/admin/.ssh/authorized_keys", False, KEY]


def told(**other: Any) -> dict[str, Any]:
    """The recorded readings, with what Debian 13 said of other ways in."""
    said = {
        "ways": [USUAL],
        "keys": [OPERATOR],
        "authorities": [],
        "unread": [],
        "started": "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
    }
    return recorded() | {"ssh_access": SSH_ACCESS.parse(json.dumps(said | other))}


def test_a_host_with_the_operators_key_alone_passes() -> None:
    for control in CONTROLS:
        if "ssh_access" in control.reads and control.id != "ssh.root-keys":
            assert status(told(), control.id) is Status.PASS, control.id


@pytest.mark.parametrize(
    ("control", "other"),
    [
        ("ssh.key-files", {"ways": [USUAL, ELSEWHERE]}),
        ("ssh.key-files", {"ways": [USUAL, PRINCIPALS]}),
        ("ssh.key-commands", {"ways": [USUAL, COMMAND]}),
        ("ssh.authorities", {"ways": [USUAL, TRUSTED]}),  # nothing in it yet
        (
            "ssh.authorities",
            {"ways": [USUAL, TRUSTED], "authorities": [["*", "/etc/ssh/ca.pub", True, AUTHORITY]]},
        ),
        ("ssh.authorities", {"keys": [OPERATOR, [*OPERATOR[:2], True, AUTHORITY]]}),
        ("ssh.command-line", {"started": "/usr/sbin/sshd -D -o AuthorizedKeysCommand /x/eic"}),
        ("ssh.allowed-users", {"keys": [OPERATOR, ["backup", "/etc/k", False, KEY]]}),
        ("accounts.postgres-login", {"keys": [["postgres", "/etc/ssh/more/x", False, KEY]]}),
    ],
)
def test_each_other_way_in_fails(control: str, other: dict[str, Any]) -> None:
    assert status(told(**other), control) is Status.FAIL


def test_what_is_declared_passes() -> None:
    declared = SshKeys(
        key_files=("/etc/ssh/more/%u", "/etc/p/%u"),
        commands=("/bin/false",),
        authorities=(AUTHORITY.split()[1],),
    )
    hardening = SETTINGS.hardening.model_copy(update={"ssh": declared})
    settings = SETTINGS.model_copy(update={"hardening": hardening})
    values = told(
        ways=[USUAL, ELSEWHERE, PRINCIPALS, COMMAND, TRUSTED],
        authorities=[["*", "/etc/ssh/ca.pub", True, AUTHORITY]],
    )
    for control in CONTROLS:
        if control.id in ("ssh.key-files", "ssh.key-commands", "ssh.authorities"):
            assert control.judge(settings, values).status is Status.PASS, control.id


def test_a_key_file_that_was_not_read_is_never_none() -> None:
    unread = ["/etc/ssh/more/postgres:2: no key that ssh-keygen understands"]
    values = told(keys=[], unread=unread)
    for control in CONTROLS:
        if "ssh_access" in control.reads and control.id not in (
            "ssh.root-keys",
            "ssh.command-line",
        ):
            assert status(values, control.id) is Status.UNKNOWN, control.id
    readings = Readings(values, {})
    assert "/etc/ssh/more/postgres:2" in "".join(_host_sections(readings))
    said = _complete(_keys_unread(readings))
    assert said.status is Status.ERROR
    assert "/etc/ssh/more/postgres:2" in said.observed


def test_the_document_lists_fingerprints_commands_and_authorities() -> None:
    values = told(
        ways=[USUAL, ELSEWHERE, COMMAND, TRUSTED],
        keys=[OPERATOR, ["postgres", "/etc/ssh/more/postgres", False, KEY]],
        authorities=[["*", "/etc/ssh/ca.pub", True, AUTHORITY]],
    )
    text = "".join(_host_sections(Readings(values, {})))
    for row in (
        f"| postgres | ED25519 256 | {KEY.split()[1]} | operator@lab | /etc/ssh/more/postgres |",
        f"| every account | ED25519 256, by its certificates | {AUTHORITY.split()[1]} |",
        "| authorizedkeysfile | /etc/ssh/more/%u | postgres |",
        "| authorizedkeyscommand | /bin/false | every account |",
        "| trustedusercakeys | /etc/ssh/ca.pub | every account |",
    ):
        assert row in text, row


@pytest.mark.parametrize("text", ["", "{}", '{"ways": [], "started": ""}', "Traceback"])
def test_an_answer_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        SSH_ACCESS.parse(text)
