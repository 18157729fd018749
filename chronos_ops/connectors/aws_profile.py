"""How a named AWS profile logs in, by the AWS CLI's own files. Reads no secret."""

import configparser
import os
from pathlib import Path
from typing import Literal

from chronos_ops.model.settings import Aws as AwsSettings

Login = Literal["sso", "keys", "a role", "a program", "nothing"]


def login_kind(settings: AwsSettings) -> Login:
    """`sso` expires within hours and needs a person (P1); a role is followed to its source."""
    config, secrets = _sections(settings)
    name, seen = settings.profile, set[str]()
    while name not in seen:
        seen.add(name)
        section = config.get("default" if name == "default" else f"profile {name}", {})
        if "sso_session" in section or "sso_start_url" in section:
            return "sso"
        if "aws_access_key_id" in {*section, *secrets.get(name, {})}:
            return "keys"
        if "credential_process" in section:
            return "a program"
        if "role_arn" not in section:
            return "nothing"
        if "source_profile" not in section:
            return "a role"
        name = section["source_profile"]
    return "a role"


def _sections(settings: AwsSettings) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    config = settings.config_file or os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"
    secrets = (
        settings.credentials_file
        or os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
        or "~/.aws/credentials"
    )
    return _read(config), _read(secrets)


def _read(path: str) -> dict[str, dict[str, str]]:
    """Values of a credentials file are left out: only what is there counts."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(Path(path).expanduser(), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    kept = ("source_profile",)
    return {
        name: {key: value if key in kept else "" for key, value in parser.items(name)}
        for name in parser.sections()
    }
