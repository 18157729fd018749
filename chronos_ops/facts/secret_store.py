"""Secrets by name in SSM Parameter Store. Existence and hash are facts, never a value."""

from hashlib import sha256
from typing import Any

from chronos_ops.model.question import AwsQuestion, Fact


def secrets(*names: str) -> Fact[dict[str, str | None]]:
    """The type of each parameter (SecureString wanted); None: there is none."""

    def read(answer: Any) -> dict[str, str | None]:
        found = {item["Name"]: str(item["Type"]) for item in answer.get("Parameters", [])}
        return {name: found.get(name) for name in names}

    arguments = {"ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": list(names)}]}
    return Fact(
        "secrets", AwsQuestion("ssm", "describe_parameters", arguments, paginate=True), read
    )


def secret_hash(name: str) -> Fact[str | None]:
    """SHA-256 of a secret, to be compared with a host's; None: there is none."""
    question = AwsQuestion(
        "ssm",
        "get_parameter",
        {"Name": name, "WithDecryption": True},
        absent=("ParameterNotFound",),
    )
    return Fact(
        "secret_hash",
        question,
        lambda answer: (
            None
            if answer is None
            else sha256(str(answer["Parameter"]["Value"]).encode()).hexdigest()
        ),
    )
