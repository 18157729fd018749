"""A host's own disk: a sparse file of a set size, so that `df` and a full disk are real.

On it lies the writable layer; the image is the read-only layer (or layers) below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.lab.run import run, works

# A copy of a mounted disk: no write is half in it, and PostgreSQL finds what a power cut leaves.
# The shell ends the freeze even if whoever started it is killed meanwhile.
_FROZEN_COPY = """
fsfreeze --freeze "$1" || exit 1
cp --sparse=always --reflink=auto -- "$2" "$3"
status=$?
fsfreeze --unfreeze "$1" && exit $status
"""
_COPY_SECONDS = 900.0


@dataclass(frozen=True)
class Disk:
    """`file` is mounted on `mount`, the host's root directory on `root`, while the host is up."""

    file: Path
    mount: Path
    root: Path

    def make(self, size_bytes: int) -> None:
        """An empty file system of that size; next to no space is used."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("xb") as handle:
            handle.truncate(size_bytes)
        run(["mkfs.ext4", "-q", "-m", "1", "-E", "nodiscard", "-L", "cloudimg-rootfs", self.file])

    def copy_to(self, file: Path) -> None:
        """A copy as of one moment; while it is made, writes to a mounted disk wait."""
        if not self.mount.is_mount():
            copy(self.file, file)
            return
        script = ["sh", "-c", _FROZEN_COPY, "copy"]
        try:
            run([*script, self.mount, self.file, file], timeout_seconds=_COPY_SECONDS)
        except BaseException:
            works(["fsfreeze", "--unfreeze", self.mount])
            raise

    def fill_from(self, file: Path, size_bytes: int) -> None:
        """In the place of `make`: a copy of another disk, grown to that size."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        copy(file, self.file)
        with self.file.open("r+b") as handle:
            handle.truncate(size_bytes)
        if size_bytes > file.stat().st_size:
            run(["e2fsck", "-f", "-p", self.file])
            run(["resize2fs", self.file])

    def attach(self, layers: Sequence[Path]) -> None:
        """Mount the disk and the root over `layers`, the uppermost first."""
        self.mount.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(parents=True, exist_ok=True)
        if not self.mount.is_mount():
            run(["mount", "-o", "loop,discard", self.file, self.mount])
        if not self.root.is_mount():
            upper, work = self.mount / "upper", self.mount / "work"
            upper.mkdir(mode=0o755, exist_ok=True)
            work.mkdir(exist_ok=True)
            lower = ":".join(str(layer) for layer in layers)
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            run(["mount", "-t", "overlay", "-o", options, "overlay", self.root])

    def detach(self) -> None:
        """Unmount both; what was written stays in the file."""
        for path in (self.root, self.mount):
            if path.is_mount():
                run(["umount", path])

    def delete(self) -> None:
        self.detach()
        self.file.unlink(missing_ok=True)
        for path in (self.root, self.mount):
            if path.is_dir():
                path.rmdir()


def copy(source: Path, target: Path) -> None:
    """A sparse file, its holes left out."""
    options = ["--sparse=always", "--reflink=auto", "--"]
    run(["cp", *options, source, target], timeout_seconds=_COPY_SECONDS)


def allocated(file: Path) -> int:
    """Bytes that a sparse file takes."""
    return file.stat().st_blocks * 512
