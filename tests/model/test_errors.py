"""An error names the noun, shows the value, hints the mend; its class is its exit status."""

import pytest

from chronos_ops.model import errors
from chronos_ops.model.errors import ChronosError, CommandFailed, UsageError


def test_an_error_names_shows_and_hints() -> None:
    error = UsageError("unknown target", "'labb'", hint="did you mean 'lab'?")
    assert str(error) == "unknown target: 'labb'\n  hint: did you mean 'lab'?"
    assert (error.noun, error.value, error.hint) == (
        "unknown target",
        "'labb'",
        "did you mean 'lab'?",
    )


def test_an_error_without_value_or_hint_is_one_phrase() -> None:
    assert str(ChronosError("the disk is full")) == "the disk is full"


def test_a_false_value_is_shown() -> None:
    assert str(ChronosError("connections", 0)) == "connections: 0"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("ChronosError", 1),
        ("CommandFailed", 1),
        ("Deviated", 1),
        ("UsageError", 2),
        ("Refused", 2),
        ("UnfitTarget", 1),
        ("TransportError", 3),
        ("UnreadableAnswer", 3),
    ],
)
def test_exit_statuses(name: str, status: int) -> None:
    assert getattr(errors, name).exit_status == status


def test_every_error_has_a_status_that_the_cli_documents() -> None:
    def below(kind: type[ChronosError]) -> set[type[ChronosError]]:
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    assert {kind.exit_status for kind in below(ChronosError)} <= {1, 2, 3}


def test_a_failed_command_keeps_its_output_and_shows_the_tail() -> None:
    error = CommandFailed("pgbackrest check", 82, "\n".join(f"line {n}" for n in range(40)))
    assert error.exit_code == 82
    assert error.output.startswith("line 0\n")
    assert "exit code 82" in str(error)
    assert "line 39" in str(error)
    assert "line 24\n" not in str(error)
