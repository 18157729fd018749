"""Secrets by name in SSM Parameter Store. Only their existence is a fact, never their value."""

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
