"""How a named AWS profile logs in, by the AWS CLI's own files. Reads no secret."""

import configparser
import os
from pathlib import Path
from typing import Literal

from chronos_ops.model.settings import Aws as AwsSettings

Login = Literal["sso", "temporary keys", "keys", "a role", "a program", "nothing"]
_PERSON = {"sso_session", "sso_start_url", "login_session"}  # `aws sso login`, `aws login`


def login_kind(settings: AwsSettings) -> Login:
    """`sso` and temporary keys end within hours and need a person (P1).

    As botocore resolves a profile: both files make one section, and a role comes before keys; it
    is followed to its source.
    """
    profiles = _profiles(settings)
    name, seen = settings.profile, set[str]()
    while name not in seen:
        seen.add(name)
        section = profiles.get(name, {})
        source = section.get("source_profile", name)
        if _PERSON & section.keys():
            return "sso"
        if "role_arn" in section and source != name:
            name = source
            continue
        if "aws_access_key_id" in section:
            return "temporary keys" if "aws_session_token" in section else "keys"
        if "credential_process" in section:
            return "a program"
        return "a role" if "role_arn" in section else "nothing"
    return "a role"


def _profiles(settings: AwsSettings) -> dict[str, dict[str, str]]:
    config = settings.config_file or os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"
    secrets = (
        settings.credentials_file
        or os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
        or "~/.aws/credentials"
    )
    found = {
        name.removeprefix("profile "): keys
        for name, keys in _read(config).items()
        if name == "default" or name.startswith("profile ")
    }
    for name, keys in _read(secrets).items():
        found[name] = {**found.get(name, {}), **keys}
    return found


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
