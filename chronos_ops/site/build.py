"""Makes the page's folder: whole or not at all, and never over what is not ours."""

import os
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import psutil
from jinja2 import Environment, PackageLoader, StrictUndefined

from chronos_ops.model.errors import UsageError
from chronos_ops.site import trend
from chronos_ops.site.collect import HTML, UNSEALED, VERIFIED, Target
from chronos_ops.site.trend import trends

MARK = ".chronos-site"
_OLD_DAYS = 35  # a runbook whose newest run is older is pointed out


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("chronos_ops.site", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["seconds"] = _duration
    return found


def build(targets: Sequence[Target], out: Path, now: datetime) -> Path:
    """Write `out`/index.html and copies of executed notebooks; the page. Raises UsageError."""
    out = out.resolve()  # what a link leads to is replaced, not the link
    _refuse_foreign(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    _clear_killed(out)
    new, old = (out.with_name(f".{out.name}.{word}-{os.getpid()}") for word in ("new", "old"))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        for target in targets:
            _copy(target, new)
        (new / "index.html").write_text(page(targets, now), encoding="utf-8")
        (new / MARK).write_text("made by ./chronos site build; replaced as a whole\n")
        _refuse_foreign(out)  # it took a while: somebody may have put something there
        if out.is_dir():
            out.rename(old)
        new.rename(out)
    finally:
        if old.is_dir() and not out.exists():
            old.rename(out)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return out / "index.html"


def _clear_killed(out: Path) -> None:
    """What builds left whose process is gone; the old site back, if it was just being replaced."""
    for path in out.parent.glob(f".{out.name}.*-*"):
        word, _, pid = path.name.removeprefix(f".{out.name}.").rpartition("-")
        if word not in ("new", "old") or not pid.isdigit() or psutil.pid_exists(int(pid)):
            continue
        if word == "old" and not out.exists() and (path / MARK).is_file():
            path.rename(out)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError("the site's folder is a file", out)
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise UsageError(
            "the folder is not empty, and no site of ours",
            out,
            hint="name another one with --out: it would be replaced as a whole",
        )


def page(targets: Sequence[Target], now: datetime) -> str:
    """The page's HTML: escaped, without any address outside."""
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            targets=targets,
            trends={target.name: trends(target.rows) for target in targets},
            now=now,
            old=now - timedelta(days=_OLD_DAYS),
            page_of=page_of,
            age=lambda text: _duration((now - datetime.fromisoformat(text)).total_seconds()),
            is_old=lambda text: datetime.fromisoformat(text) < now - timedelta(days=_OLD_DAYS),
            size=trend,
            VERIFIED=VERIFIED,
            UNSEALED=UNSEALED,
        )
    )


def page_of(target: str, run: Path) -> str:
    """Where a run's executed notebook is, from the page; empty: it has none."""
    return f"runs/{target}/{run.name}.html" if _has_page(run) else ""


def _has_page(run: Path) -> bool:
    """A run's own file: no link may bring another one into the site."""
    file = run / HTML
    return file.is_file() and not file.is_symlink() and not run.is_symlink()


def _copy(target: Target, site: Path) -> None:
    folder = site / "runs" / target.name
    folder.mkdir(parents=True)
    for row in target.rows:
        if _has_page(row.folder):
            shutil.copyfile(row.folder / HTML, folder / f"{row.folder.name}.html")


def _duration(seconds: float) -> str:
    """`7.3 s`, `2 min 05 s`, `1 h 02 min`, `12 days`."""
    whole = round(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} days"
