"""The images that hosts start from, built once and shared: read-only layers.

`bare` is what a cloud's fresh Debian looks like; `db` is a layer above it with PostgreSQL. Those of
another suite (`bare-bookworm`, `db-bookworm`) are built when the first host of them is asked for.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.lab import cgroups
from chronos_ops.lab.errors import LabError, LabImpossible
from chronos_ops.lab.places import SERVICES, Places
from chronos_ops.lab.run import run

Progress = Callable[[str], None]

SUITE = "trixie"
POSTGRES = {"trixie": 17, "bookworm": 15}  # each suite's own PostgreSQL
FORMAT = 2  # a change of what is done to an image beside its packages makes this one more
KEYRINGS = Path("/usr/share/keyrings")
KEYRING = KEYRINGS / "debian-archive-keyring.gpg"
NEEDED_BYTES = 3 * 1024**3
PARTIAL = ".building-"

BARE_PACKAGES = (
    "acl",
    "ca-certificates",
    "cron",
    "curl",
    "dbus",
    "e2fsprogs",
    "fail2ban",
    "gnupg",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libpam-systemd",
    "locales",
    "logrotate",
    "lsb-release",
    "netbase",
    "nftables",
    "openssh-server",
    "openssl",
    "perl",
    "procps",
    "python3",
    "python3-systemd",
    "rsyslog",
    "sudo",
    "systemd",
    "systemd-sysv",
    "tzdata",
    "ufw",
    "unattended-upgrades",
    "wget",
    "xz-utils",
    "zstd",
)

# dpkg need not flush each file to disk in a machine that is thrown away, nor unpack manuals.
_DPKG = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)


def db_packages(suite: str = SUITE) -> tuple[str, ...]:
    """What the database host has beside the bare packages."""
    postgres = f"postgresql-{POSTGRES[suite]}"
    extensions = (f"{postgres}-pgvector",) if suite == SUITE else ()  # bookworm has none
    return ("certbot", "pgbackrest", postgres, *extensions, "postgresql-contrib")


@dataclass(frozen=True)
class Image:
    """Layers of directories, the uppermost first."""

    name: str
    layers: tuple[Path, ...]
    suite: str = SUITE


@dataclass(frozen=True)
class Tools:
    """How long-running builders are run: they end with the lab, and while they live nobody builds.

    `joins` is the `cgroup.procs` of the lab; `lock` the builder's lock, which they inherit.
    """

    joins: Path
    lock: int
    progress: Progress

    def follow(self, argv: list[str], env: dict[str, str]) -> None:
        """Run one, passing on the lines that tell how far it is. Raises LabError."""
        tail: list[str] = []
        with subprocess.Popen(
            ["sh", "-c", f'echo $$ > {self.joins} && exec "$@"', "sh", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            pass_fds=[self.lock],
        ) as process:
            try:
                for line in process.stdout or ():
                    tail = [*tail[-20:], line.rstrip()]
                    if line.startswith(("I: ", "Setting up ", "Fetched ")):
                        self.progress(f"  {line.strip().removeprefix('I: ')}")
            except BaseException:  # told to end: so must the tool be
                process.terminate()
                raise
        if process.returncode != 0:
            raise LabError(f"{argv[0]} failed while building an image", "\n".join(tail))


def key(*parts: object, suite: str = SUITE) -> str:
    """Twelve hexadecimal digits that change with what an image is made of."""
    text = json.dumps([suite, FORMAT, _DPKG, *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def images(places: Places) -> dict[str, Image]:
    """Every image that there may be, by name."""
    found = {}
    for suite in POSTGRES:
        suffix = "" if suite == SUITE else f"-{suite}"
        bare = places.images / f"bare{suffix}-{key(BARE_PACKAGES, suite=suite)}"
        packages = db_packages(suite)
        db = places.images / f"db{suffix}-{key(BARE_PACKAGES, packages, suite=suite)}"
        for name, layers in ((f"bare{suffix}", (bare,)), (f"db{suffix}", (db, bare))):
            found[name] = Image(name, layers, suite)
    return found


def image(places: Places, name: str) -> Image:
    """An image by name, built or not. Raises LabError if there is no such."""
    known = images(places)
    if name not in known:
        raise LabError("unknown image", repr(name), hint=f"one of: {', '.join(known)}")
    return known[name]


def is_built(wanted: Image) -> bool:
    """Whether a host could be made of it now."""
    return all(layer.is_dir() for layer in wanted.layers)


def ensure(places: Places, mirror: str, progress: Progress, name: str = "db") -> None:
    """Build what is missing of an image; `mirror` is the lab's own (http). One builder at a time.

    Raises LabImpossible (keyring, disk space), LabError (a package could not be had).
    """
    wanted = image(places, name)
    places.images.mkdir(parents=True, exist_ok=True)
    with _one_builder(places) as lock:
        clear_partial(places)
        if is_built(wanted):
            return
        tools = Tools(cgroups.create_unlimited(places.cgroup(SERVICES)), lock, progress)
        _check_machine(places, wanted.suite)
        *above, bare = wanted.layers
        if not bare.is_dir():
            progress(f"building the image of a bare Debian {wanted.suite} host (once, about 30 s)")
            with _whole(bare) as part:
                _build_bare(part, wanted.suite, mirror, tools)
        for db in above:
            if not db.is_dir():
                progress("adding PostgreSQL to the image of the database host (once, about 30 s)")
                with _whole(db) as part:
                    _build_db(part, bare, wanted.suite, mirror, tools)


def clear_partial(places: Places) -> list[Path]:
    """Remove what interrupted builds left; the caller holds the builder's lock."""
    found = sorted(places.images.glob(f"{PARTIAL}*"))
    for path in found:
        shutil.rmtree(path)
    return found


@contextlib.contextmanager
def _one_builder(places: Places) -> Iterator[int]:
    with (places.images / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()


@contextlib.contextmanager
def _whole(final: Path) -> Iterator[Path]:
    """A folder to build in, which appears under its name when it is whole, or not at all."""
    part = final.with_name(f"{PARTIAL}{final.name}")
    part.mkdir()
    try:
        yield part
        if not final.is_dir():
            (part / "tree").rename(final)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def prune(places: Places) -> list[Path]:
    """Remove images of other package lists, if no other lab is there that may stand on them."""
    others = [path for path in (places.state / "labs").glob("*") if path != places.folder]
    if others or not places.images.is_dir():
        return []
    with _one_builder(places):
        current = {layer for found in images(places).values() for layer in found.layers}
        old = [path for path in places.images.glob("[a-z]*-*") if path not in current]
        for path in old:
            shutil.rmtree(path)
    return old


def _check_machine(places: Places, suite: str = SUITE) -> None:
    if not KEYRING.is_file() or not list(KEYRINGS.glob(f"debian-archive-{suite}-*")):
        raise LabImpossible(
            f"this machine's Debian keys do not include {suite}'s",
            KEYRING,
            hint="apt-get install debian-archive-keyring (bookworm-updates has the newer one)",
        )
    if run(["stat", "--file-system", "--format=%T", places.images]).strip() == "overlayfs":
        raise LabImpossible(
            "images cannot be layered on an overlay file system",
            places.images,
            hint="set CHRONOS_LAB_STATE to a place on ext4 or xfs (in a container: a volume)",
        )
    free = shutil.disk_usage(places.images).free
    if free < NEEDED_BYTES:
        raise LabImpossible(
            "not enough disk space to build the lab's images",
            f"{free / 1024**3:.1f} GiB free at {places.images}, {NEEDED_BYTES // 1024**3} needed",
            hint="free some, or set CHRONOS_LAB_STATE to a place on a larger disk",
        )


def _sources(suite: str, mirror: str) -> list[str]:
    """The release, and its security updates as of the day on which the image is made."""
    signed = f"deb [signed-by={KEYRING}] {mirror}"
    return [f"{signed}/debian {suite} main", f"{signed}/debian-security {suite}-security main"]


def _build_bare(part: Path, suite: str, mirror: str, tools: Tools) -> None:
    tree = part / "tree"
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", "--aptopt=Acquire::Languages none"]
    argv += [f"--dpkgopt={option}" for option in _DPKG]
    argv += [f"--include={','.join(BARE_PACKAGES)}", suite, str(tree), *_sources(suite, mirror)]
    env = {**os.environ, "TMPDIR": str(part), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    tools.follow(argv, env)
    run(["systemctl", "--root", tree, "enable", "systemd-networkd"])
    _make_anonymous(tree)


def _make_anonymous(tree: Path) -> None:
    """What each host gets of its own is taken out; what a cloud's image has is put in."""
    for path in [*tree.glob("etc/ssh/ssh_host_*"), *tree.glob("var/log/*.log")]:
        path.unlink()
    (tree / "etc/apt/sources.list").unlink(missing_ok=True)
    (tree / "etc/hostname").unlink(missing_ok=True)
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/resolv.conf").unlink(missing_ok=True)
    (tree / "etc/resolv.conf").write_text("# no name service: names are in /etc/hosts\n")
    (tree / "etc/locale.conf").write_text("LANG=C.UTF-8\n")
    default = tree / "etc/default/locale"
    default.unlink(missing_ok=True)
    default.write_text("LANG=C.UTF-8\n")


def _build_db(part: Path, bare: Path, suite: str, mirror: str, tools: Tools) -> None:
    tree, work, root = part / "tree", part / "work", part / "root"
    for path in (tree, work, root):
        path.mkdir()
    tree.chmod(0o755)
    options = f"lowerdir={bare},upperdir={tree},workdir={work}"
    run(["mount", "-t", "overlay", "-o", options, "overlay", root])
    try:
        _install(root, suite, mirror, tools)
    finally:
        run(["umount", "--recursive", root])


def _install(root: Path, suite: str, mirror: str, tools: Tools) -> None:
    for kind in ("proc", "dev"):
        run(["mount", "--rbind", "--make-rslave", f"/{kind}", root / kind])
    sources = root / "etc/apt/sources.list"
    no_services = root / "usr/sbin/policy-rc.d"
    no_cluster = root / "etc/postgresql-common/createcluster.d/image.conf"
    sources.write_text("\n".join(_sources(suite, mirror)) + "\n")
    no_services.write_text("#!/bin/sh\nexit 101\n")
    no_services.chmod(0o755)
    no_cluster.parent.mkdir(parents=True, exist_ok=True)
    # Each host makes its own cluster: a copied one would share its system identifier.
    no_cluster.write_text("create_main_cluster = false\n")
    env = {"PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}
    apt = ["chroot", str(root), "apt-get", "-q", "-o", "Acquire::Languages=none"]
    tools.follow([*apt, "update"], env)
    tools.follow([*apt, "install", "-y", "--no-install-recommends", *db_packages(suite)], env)
    run([*apt, "clean"])
    for path in (sources, no_services, no_cluster):
        path.unlink()
    for path in root.glob("var/lib/apt/lists/*_*"):
        path.unlink()
