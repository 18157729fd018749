"""What a backup set consists of, from its own manifest: objects, and their sizes to the byte."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_EXTENSIONS = {"none": "", "gz": ".gz", "bz2": ".bz2", "lz4": ".lz4", "zst": ".zst"}


@dataclass(frozen=True)
class Part:
    """One file inside an object: where it lies, and the SHA-1 of its bytes as they are stored."""

    offset: int
    size: int
    sha1: str  # "": this release keeps none


@dataclass
class Stored:
    """One object that a set needs. `size`: how far it reaches at least; exact in its own set."""

    size: int = 0
    smallest: Part | None = None

    def add(self, part: Part) -> None:
        self.size = max(self.size, part.offset + part.size)
        if self.smallest is None or part.size < self.smallest.size:
            self.smallest = part


@dataclass(frozen=True)
class Manifest:
    """One set's manifest. Paths of objects are relative to the stanza's folder of backups."""

    label: str
    references: tuple[str, ...]  # sets that hold files of this one, itself left out
    objects: Mapping[str, Stored]  # its own, and those of its references that it names
    files: int
    encrypted: bool


@dataclass(frozen=True)
class Manifests:
    """What was read, and what pgBackRest said where it could not be (exit code, words)."""

    read: Mapping[str, Manifest] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


# A manifest holds the passphrase of its set's files: that section never leaves the host.
_SCRIPT = r"""
set -u
stanza=$1 repo=$2; shift 2
into=$(mktemp -d) || exit 1
trap 'rm -rf "$into"' EXIT
running=0
for label; do
    { pgbackrest --stanza="$stanza" --repo="$repo" --log-level-console=off \
          --log-level-stderr=error repo-get "backup/$stanza/$label/backup.manifest" \
          >"$into/$label" 2>"$into/$label.said"
      echo $? >"$into/$label.code"; } &
    running=$((running + 1)); [ $((running % 4)) != 0 ] || wait
done
wait
for label; do
    code=$(cat "$into/$label.code")
    echo "== $label $code"
    if [ "$code" = 0 ]
    then sed '/^\[cipher\]/,/^$/{/^\[cipher\]/!{/^$/!d}}' "$into/$label"
    else head -n 8 "$into/$label.said" | tr -cd '[:print:]\n'; echo
    fi
done
"""


def manifests(stanza: str, repo: int, labels: Iterable[str]) -> Fact[Manifests]:
    """The manifests of backup sets, read with the host's own key and passphrase."""
    argv = ("sh", "-c", _SCRIPT, "manifests", stanza, str(repo), *labels)
    return Fact("backup_manifests", ShellQuestion(argv, user="postgres"), _read)


def _read(answer: ShellAnswer) -> Manifests:
    read: dict[str, Manifest] = {}
    failed: dict[str, str] = {}
    for text in f"\n{answer.stdout}".split("\n== ")[1:]:
        head, _, body = text.partition("\n")
        label, _, code = head.partition(" ")
        if not code.isdigit():
            raise UnreadableAnswer("a manifest was not asked for to its end", head)
        if code != "0":
            failed[label] = f"exit code {code}: {' '.join(body.split())[:300]}"
            continue
        try:
            read[label] = _manifest(label, body)
        except UnreadableAnswer as error:
            failed[label] = f"{error.noun} ({error.value})"
    return Manifests(read, failed)


def _manifest(label: str, text: str) -> Manifest:
    sections = _sections(text)
    try:
        backup, option = sections["backup"], sections["backup:option"]
        if json.loads(backup["backup-label"]) != label:
            raise UnreadableAnswer("the manifest of another set", backup["backup-label"])
        extension = _EXTENSIONS[str(json.loads(option["option-compress-type"]))]
        bundled = json.loads(backup.get("backup-bundle", "false"))
        objects: dict[str, Stored] = defaultdict(Stored)
        references: set[str] = set()
        for path, value in sections["target:file"].items():
            entry = json.loads(value)
            holder = entry.get("reference", label)
            references.add(holder)
            size = int(entry.get("repo-size", entry["size"]))
            if size == 0 or (bundled and entry["size"] == 0):
                continue
            name = _object(path, entry, extension)
            checksum = entry.get("rck", entry.get("checksum", "") if _raw(entry) else "")
            objects[f"{holder}/{name}"].add(Part(int(entry.get("bno", 0)), size, checksum))
        named = json.loads(backup.get("backup-reference", '""')).split(",")
        files = len(sections["target:file"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer(f"not a manifest: {label}", repr(error)) from None
    others = tuple(sorted({*references, *filter(None, named)} - {label}))
    return Manifest(label, others, dict(objects), files, "cipher" in sections)


def _raw(entry: Mapping[str, Any]) -> bool:
    """Stored as it is: neither compressed nor encrypted, so one checksum is both."""
    return "repo-size" not in entry


def _object(path: str, entry: Mapping[str, Any], extension: str) -> str:
    if "bni" in entry:
        return f"bundle/{entry['bni']}"
    return path + (".pgbi" if "bi" in entry else extension)


def _sections(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]") and "=" not in line:
            section = found.setdefault(line[1:-1], {})
        elif line:
            # a path may hold `=` too: the value is JSON, which begins behind the last `={`
            key, _, value = line.rpartition("={") if line.endswith("}") else line.partition("=")
            section[key] = "{" + value if line.endswith("}") else value
    return found
