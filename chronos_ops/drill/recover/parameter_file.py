"""`parameters/<target>.yaml` names the new host: the lines that change, and nothing else (D9)."""

import difflib
import re
from pathlib import Path

import yaml

from chronos_ops.model.errors import ChronosError
from chronos_ops.model.settings import Host, Settings, parameters_dir, parse_settings


def renamed(text: str, instance: str, user: str) -> str:
    """The file's text with its new host; comments and order stay. Pure."""
    found = []
    inside = False
    for line in text.splitlines(keepends=True):
        if re.match(r"\S", line) and not line.startswith("#"):
            inside = line.startswith("host:")
        found.append(_renamed_line(line, instance, user) if inside else line)
    return "".join(found)


def _renamed_line(line: str, instance: str, user: str) -> str:
    if re.match(r"\s+known_hosts_file:", line):
        return re.sub(r"^(\s+)", r"\1# ", line)  # of the lost host; now: from Lightsail
    return _set(_set(line, "instance", instance), "user", user)


def _set(line: str, key: str, value: str) -> str:
    return re.sub(rf"^(\s+{key}:\s*)(\"[^\"]*\"|'[^']*'|[^\s#]+)", rf"\g<1>{value}", line)


def adopt(settings: Settings, directory: Path | None = None) -> str:
    """Write the target's file so that it names `settings.host`; the diff, "" if it did already.

    Raises ChronosError, and leaves the file alone, where that would not give these settings.
    """
    folder = directory or parameters_dir()
    path = folder / f"{settings.target}.yaml"
    before = path.read_text(encoding="utf-8")
    if _host(before, path.name) == settings.host:
        return ""
    after = renamed(before, settings.host.instance, settings.host.user)
    if _host(after, path.name) != settings.host:
        raise ChronosError(
            f"parameters/{path.name} names the lost host still",
            "its lines under `host:` are not such that they could be changed one by one",
            hint=f"set host.instance: {settings.host.instance} and host.user: "
            f"{settings.host.user} in it, and take host.known_hosts_file out",
        )
    part = path.with_name(f".{path.stem}.part.yaml")
    part.touch(mode=0o600)
    part.write_text(after, encoding="utf-8")
    part.chmod(path.stat().st_mode & 0o777)
    part.replace(path)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    return "\n".join(list(lines)[2:])


def _host(text: str, name: str) -> Host:
    return parse_settings(yaml.safe_load(text), name).host
