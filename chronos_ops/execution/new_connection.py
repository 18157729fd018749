"""A second, new connection with sudo: the only proof that nobody was locked out (H9)."""

import time
from contextlib import closing

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError, CommandFailed, TransportError
from chronos_ops.model.plan import Change

SETTLED_SECONDS = 1.0  # a server that reloads may be the former one for a moment
_WORD_SECONDS = 20.0


def answers(context: Context, ssh: Ssh, deadline: float) -> None:
    """Until `ssh` opens and sudo works, or the monotonic `deadline`: raises what came last then.

    A refused key or sudo is no matter of time: it is tried twice, no more.
    """
    refused = 0
    pause = 0.3
    with context.journal.interval("wait", "a second, new connection with sudo"):
        while True:
            try:
                ssh.open()
                ssh.run(["true"], sudo=True, timeout=_WORD_SECONDS)
                return
            except (TransportError, CommandFailed) as error:
                ssh.close()
                refused += isinstance(error, CommandFailed) or "refuses the key" in error.noun
                if refused == 2 or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 3.0)


def answers_twice(context: Context, ssh: Ssh, deadline: float) -> None:
    """As `answers`, and once more when the change has settled; `ssh` is open afterwards."""
    context.say("trying a second, new connection …")
    with closing(ssh):
        answers(context, ssh, deadline)
    time.sleep(SETTLED_SECONDS)
    answers(context, ssh, max(deadline, time.monotonic() + 1))


def answers_at_last(context: Context, ssh: Ssh, deadline: float) -> None:
    """As `answers`, where a refusal too may pass: the way back is still being made."""
    while True:
        try:
            return answers(context, ssh, deadline)
        except (TransportError, CommandFailed):
            if time.monotonic() > deadline:
                raise
        time.sleep(2.0)


def explained(error: BaseException, changes: list[Change]) -> ChronosError | None:
    """After the way back was gone: the error to raise in place of `error`; None: it may stand."""
    titles = "; ".join(change.title for change in changes)
    if isinstance(error, ChronosError) and not isinstance(error, TransportError):
        error.add(f"taken back, all is as it was before: {titles}")
        return None
    reason = f"{error.noun}: {error.value}" if isinstance(error, ChronosError) else repr(error)
    return ChronosError(
        "taken back, for it would have locked the operator out",
        f"{titles}\n  {reason}",
        hint="all is as it was before, and a new connection works. Look at the diff: users, "
        "ports, both address families, algorithms",
    )
