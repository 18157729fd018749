"""A run's folder as one tar file whose bytes follow from its files alone."""

import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO


class _Digest:
    """A file that keeps nothing but the hash of what was written."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.bytes += len(data)
        return len(data)


def write_package(folder: Path, names: Iterable[str], to: IO[bytes]) -> None:
    """Write the named files below `folder`'s own name. Raises OSError."""
    with tarfile.open(fileobj=to, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(names):
            path = folder / name
            member = tarfile.TarInfo(f"{folder.name}/{name}")  # owner, mode and time are fixed
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)


def digest_package(folder: Path, names: Iterable[str]) -> tuple[str, int]:
    """sha256 and size of what `write_package` would write. Raises OSError."""
    digest = _Digest()
    write_package(folder, names, digest)  # type: ignore[arg-type] # it only writes
    return digest.sha256.hexdigest(), digest.bytes
