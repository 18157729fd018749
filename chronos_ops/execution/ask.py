"""The one place where a fact's question meets a connector."""

from typing import TypeVar

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.question import AwsQuestion, Fact

T = TypeVar("T")


def ask(fact: Fact[T], ssh: Ssh, aws: Aws) -> T:
    """What is so. Raises TransportError, CommandFailed, or UnreadableAnswer from the parser."""
    if isinstance(fact.question, AwsQuestion):
        return fact.parse(aws.ask(fact.question))
    return fact.parse(ssh.ask(fact.question))
