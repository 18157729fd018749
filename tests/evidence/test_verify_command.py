"""`chronos verify` and `chronos archive`, as a person types them."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from chronos_ops.cli import app, shelf
from chronos_ops.evidence.archive import ARCHIVE
from chronos_ops.evidence.chain import INDEX
from chronos_ops.model.errors import UsageError
from tests.evidence.archived_runs import make_archive, make_run
from tests.runner.probing import settings


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Target `probe` of a checkout in `tmp_path`: two sealed runs, no bucket."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(shelf, "ROOT", tmp_path)
    monkeypatch.setattr(
        "chronos_ops.model.settings.parameters_dir", lambda: tmp_path / "parameters"
    )
    (tmp_path / "parameters").mkdir()
    declare(tmp_path, {})
    folder = tmp_path / "outputs/probe"
    archive = make_archive(folder, tmp_path / "state/chronos-ops")
    for number in (1, 2):
        archive.seal(make_run(folder, number))
    return folder


def declare(root: Path, archive: dict[str, object] | None) -> None:
    data = {**settings().model_dump(mode="json"), "archive": archive}
    (root / "credentials").write_text(
        "[nobody]\naws_access_key_id = x\naws_secret_access_key = y\n"
    )
    data["aws"] |= {"credentials_file": str(root / "credentials")}
    (root / "parameters/probe.yaml").write_text(yaml.safe_dump(data))


def chronos(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, UsageError):
        return 2, result.exception.text()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_good_archive_by_name_by_run_and_by_folder(runs: Path) -> None:
    run = min(runs.glob("2*"))
    for words in (["probe"], [run.name], [str(runs)], [str(run)], [str(runs), "--offline"]):
        code, said = chronos("verify", *words)
        assert (code, said.splitlines()[-1].split(",")[0]) == (0, "verified"), said


def test_damage_exits_1_and_what_is_not_known_3(runs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    runs.rename(copy)
    assert chronos("verify", str(copy))[0] == 2  # no target of that name: say --offline
    assert chronos("verify", str(copy), "--offline")[0] == 0
    (tmp_path / "state/chronos-ops").rename(tmp_path / "away")  # another machine, without the key
    code, said = chronos("verify", str(copy), "--offline")
    assert (code, "a fingerprint known from elsewhere" in said) == (3, False)
    assert "--fingerprint" in said
    seen = make_archive(copy, tmp_path / "away").key.fingerprint
    assert chronos("verify", str(copy), "--offline", "--fingerprint", seen)[0] == 0
    assert chronos("verify", str(copy), "--offline", "--fingerprint", "0" * 64)[0] == 1
    (min(copy.glob("2*")) / "executed.html").write_text("another")
    assert chronos("verify", str(copy), "--offline", "--fingerprint", seen)[0] == 1


def test_a_bucket_that_does_not_answer_is_not_known(runs: Path, tmp_path: Path) -> None:
    declare(tmp_path, {"bucket": "evidence-x"})  # its endpoint is a closed port
    code, said = chronos("verify", "probe")
    assert code == 3
    assert "AWS did not answer" in said
    assert chronos("verify", "probe", "--offline")[0] == 0


def test_status_and_push(runs: Path, tmp_path: Path) -> None:
    assert chronos("archive", "status", "--target", "probe")[0] == 0
    late = make_run(runs, 3)
    code, said = chronos("archive", "status", "--target", "probe")
    assert (code, f"not sealed: {late.name}" in said) == (1, True)
    assert chronos("verify", "probe")[0] == 1
    assert chronos("archive", "push", "--target", "probe")[0] == 0
    assert len((runs / ARCHIVE / INDEX).read_text().splitlines()) == 3
    assert chronos("verify", "probe")[0] == 0
    declare(tmp_path, {"bucket": "evidence-x"})
    assert chronos("archive", "push", "--target", "probe")[0] == 1
    assert "pending: 00000001" in chronos("archive", "status", "--target", "probe")[1]
    declare(tmp_path, None)
    assert chronos("archive", "status", "--target", "probe")[0] == 2


def test_what_is_no_archive_is_said(runs: Path, tmp_path: Path) -> None:
    assert chronos("verify", str(tmp_path / "parameters"))[0] == 2
    assert chronos("verify", "never-run")[0] == 2
