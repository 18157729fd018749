"""The archive in a real bucket with Object Lock: what was done to it there is seen (R4)."""

import itertools
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chronos_ops.cli import app
from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.evidence.archive import ARCHIVE, RECEIPTS, Archive, NotSealed, pending
from chronos_ops.evidence.archive_bucket import Bucket
from chronos_ops.evidence.archive_locks import verify_bucket
from chronos_ops.evidence.archive_push import push
from chronos_ops.evidence.archive_verify import verify_files
from chronos_ops.evidence.archiving import archive_run, send
from chronos_ops.evidence.chain import INDEX, STATEMENTS
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.trust import known_fingerprint
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.archive import Archive as Declared
from chronos_ops.model.errors import Refused, TransportError
from chronos_ops.model.settings import Settings, load_settings
from chronos_ops.plans.archive_rights import archive_statements
from tests.evidence.archived_runs import make_archive, make_run
from tests.lab.aws_callers import iam_user

BUCKET = "archive-under-test"
SHORT_LIVED = f"short-lived-{os.getpid()}"
NO_LOCKS = f"no-locks-{os.getpid()}"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(lab: LabStatus) -> Aws:
    return Aws(load_settings(lab.name).aws)


class Case:
    """Two sealed runs in the bucket, below a prefix of their own."""

    def __init__(self, aws: Aws, folder: Path, **declared: Any) -> None:
        given = {"lock_mode": "GOVERNANCE", "retention_days": 30, "create_bucket": True}
        prefix = f"case-{os.getpid()}-{next(_numbers)}"
        self.declared = Declared.model_validate(
            {"bucket": BUCKET, "prefix": prefix, **given, **declared}
        )
        self.aws = aws
        self.bucket = Bucket(aws, self.declared)
        self.runs = folder / "outputs/target"
        self.state = folder / "state"
        self.archive: Archive = make_archive(self.runs, self.state, self.declared)
        for number in (1, 2):
            self.archive.seal(make_run(self.runs, number))

    def failed(self, run: str = "") -> dict[str, str]:
        known = known_fingerprint(None, self.bucket)
        looked = verify_files(self.runs, fingerprint=known, run=run)
        findings = [*looked.findings, *verify_bucket(looked, self.bucket, self.declared, run)]
        return {f.id: f.observed for f in findings if not f.good}

    def key(self, begin: str) -> str:
        """The first key below the prefix that begins so."""
        return next(v.key for v in self.bucket.versions(begin))

    def version(self, key: str) -> str:
        return str(self.aws.call("s3", "head_object", Bucket=BUCKET, Key=key)["VersionId"])

    def s3(self, operation: str, key: str, **more: Any) -> dict[str, Any]:
        return self.aws.call("s3", operation, Bucket=BUCKET, Key=key, **more)

    def lift(self, key: str) -> str:
        """Delete the locked version for good, by the right to bypass GOVERNANCE."""
        version = self.version(key)
        self.s3("delete_object", key, VersionId=version, BypassGovernanceRetention=True)
        return version


@pytest.fixture
def case(aws: Aws, tmp_path: Path) -> Case:
    made = Case(aws, tmp_path)
    assert len(push(made.archive, made.bucket)) == 2
    assert made.failed() == {}
    return made


def test_what_was_sent_is_locked_and_sent_once(case: Case) -> None:
    assert pending(case.runs) == []
    assert push(case.archive, case.bucket) == []
    keys = [v.key.split("/", 1)[1] for v in case.bucket.versions()]
    run, other = sorted(p.name for p in case.runs.glob("2*"))
    assert sorted(keys) == sorted(
        [
            "public-key.pem",
            "entries/00000001.json",
            "entries/00000002.json",
            f"statements/00000001-{run}.dsse.json",
            f"statements/00000002-{other}.dsse.json",
            f"packages/00000001-{run}.tar",
            f"packages/00000002-{other}.tar",
        ]
    )
    assert case.failed(run) == {}
    with pytest.raises(AwsRefused):
        case.s3("delete_object", case.key("packages/"), VersionId=case.version(case.key("pack")))


def test_a_lost_receipt_is_found_again_without_a_second_version(case: Case) -> None:
    before = case.bucket.versions()
    for path in (case.runs / ARCHIVE / RECEIPTS).iterdir():
        path.unlink()
    assert len(push(case.archive, case.bucket)) == 2
    assert case.bucket.versions() == before
    assert case.failed() == {}


def _mark_deleted(case: Case) -> None:
    case.s3("delete_object", case.key("packages/"))


def _delete(case: Case) -> None:
    case.lift(case.key("packages/"))


def _shorten(case: Case) -> None:
    key = case.key("statements/")
    until = datetime.now(UTC) + timedelta(days=1)
    case.s3(
        "put_object_retention",
        key,
        VersionId=case.version(key),
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
        BypassGovernanceRetention=True,
    )


def _put_without_lock(case: Case) -> None:
    key = case.key("entries/")
    body = case.s3("get_object", key)["Body"].read()
    case.lift(key)
    case.s3("put_object", key, Body=body)
    min((case.runs / ARCHIVE / RECEIPTS).iterdir()).unlink()


def _write_over(case: Case) -> None:
    case.s3("put_object", case.key("packages/"), Body=b"another run")


def _replace_version(case: Case) -> None:
    """The same content, locked, yet not the version that was written."""
    key = case.key("packages/")
    body = case.s3("get_object", key)["Body"].read()
    case.lift(key)
    until = datetime.now(UTC) + timedelta(days=40)
    case.s3(
        "put_object",
        key,
        Body=body,
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=until,
        ChecksumAlgorithm="SHA256",
    )


def _cut_off(case: Case) -> None:
    """The last line with its statement, receipt and run: here nothing tells of it any more."""
    index = case.runs / ARCHIVE / INDEX
    index.write_text(index.read_text().splitlines(keepends=True)[0])
    for folder in (STATEMENTS, RECEIPTS):
        for path in (case.runs / ARCHIVE / folder).glob("00000002-*"):
            path.unlink()
    shutil.rmtree(max(case.runs.glob("2*")))


DAMAGE: dict[str, tuple[Callable[[Case], None], set[str], str]] = {
    "a delete marker": (_mark_deleted, {"archive.deletions"}, "deleted on"),
    "a deleted object": (_delete, {"archive.objects"}, "it is not there"),
    "a shortened lock": (_shorten, {"archive.locks"}, "locked until"),
    "a missing lock": (_put_without_lock, {"archive.locks"}, "no lock"),
    "another content": (_write_over, {"archive.content"}, "holds something else"),
    "another version": (_replace_version, {"archive.objects"}, "the version that was written"),
    "a truncated chain": (_cut_off, {"archive.end", "archive.foreign"}, "1 here, 2 in the bucket"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_in_the_bucket_is_caught(case: Case, damage: str) -> None:
    do, expected, said = DAMAGE[damage]
    do(case)
    found = case.failed()
    assert found.keys() == expected
    assert said in found[min(expected)]


def test_a_replaced_key_is_caught_by_the_locked_one(case: Case, tmp_path: Path) -> None:
    """The whole archive made anew with another key, as if nothing had been."""
    forged = Case.__new__(Case)
    forged.__dict__.update(case.__dict__)
    forged.runs = tmp_path / "forged/target"
    thief = make_archive(forged.runs, tmp_path / "thief", case.declared)
    for number in (1, 2):
        thief.seal(make_run(forged.runs, number))
    found = forged.failed()
    assert found.keys() >= {"archive.key", "archive.content"}
    with pytest.raises(Refused, match="another object lies in the bucket"):
        push(thief, case.bucket)


def test_a_bucket_without_object_lock_is_refused_and_named(aws: Aws, tmp_path: Path) -> None:
    where = {"LocationConstraint": aws.settings.region}
    aws.call("s3", "create_bucket", Bucket=NO_LOCKS, CreateBucketConfiguration=where)
    made = Case(aws, tmp_path, bucket=NO_LOCKS)
    with pytest.raises(AwsRefused):
        push(made.archive, made.bucket)
    assert len(pending(made.runs)) == 2
    assert "archive.bucket" in made.failed()


def test_a_bucket_that_is_not_there_is_made_only_if_declared(aws: Aws, tmp_path: Path) -> None:
    made = Case(aws, tmp_path, bucket="not-there", create_bucket=False)
    with pytest.raises(AwsRefused, match="archive init"):
        push(made.archive, made.bucket)
    assert "archive.bucket" in made.failed()


def test_a_bucket_that_is_gone_is_made_anew_where_that_is_declared(
    aws: Aws, tmp_path: Path
) -> None:
    """A lab's bucket ends with the lab; what was sealed on this machine goes into the next one."""
    made = Case(aws, tmp_path, bucket=SHORT_LIVED)
    push(made.archive, made.bucket)
    for version in made.bucket.versions():
        aws.call(
            "s3",
            "delete_object",
            Bucket=SHORT_LIVED,
            Key=version.key,
            VersionId=version.version,
            BypassGovernanceRetention=True,
        )
    aws.call("s3", "delete_bucket", Bucket=SHORT_LIVED)
    assert {"archive.bucket"} <= made.failed().keys()
    made.archive.seal(make_run(made.runs, 3))
    assert len(push(made.archive, made.bucket)) == 3
    assert made.failed() == {}


def test_what_fails_stays_pending_and_is_sent_later(
    lab: LabStatus, aws: Aws, tmp_path: Path
) -> None:
    made = Case(aws, tmp_path)
    settings = load_settings(lab.name)
    closed = settings.aws.model_copy(update={"endpoint_url": "https://127.0.0.1:1"})
    away: Settings = settings.model_copy(update={"aws": closed, "archive": made.declared})
    said: list[str] = []
    assert not send(made.archive, away, said.append)
    assert "archive: pending: 2 not in the bucket" in said[0]
    with pytest.raises(TransportError):
        push(made.archive, Bucket(Aws(closed), made.declared))
    assert "2 objects" not in str(made.failed())
    assert "archive.objects" in made.failed()
    assert send(made.archive, away.model_copy(update={"aws": settings.aws}), said.append)
    assert made.failed() == {}


def test_a_run_changed_before_it_was_sent_is_not_sent(aws: Aws, tmp_path: Path) -> None:
    made = Case(aws, tmp_path)
    victim = min(made.runs.glob("2*"))
    (victim / "executed.html").write_text("another page")
    with pytest.raises(NotSealed, match="changed after it was sealed"):
        push(made.archive, made.bucket)
    assert [entry.run for entry in pending(made.runs)] == [victim.name]  # the other one went


def test_compliance_cannot_be_lifted_by_anybody(aws: Aws, tmp_path: Path) -> None:
    made = Case(aws, tmp_path, lock_mode="COMPLIANCE", retention_days=1)
    push(made.archive, made.bucket)
    assert made.failed() == {}
    key = made.key("packages/")
    with pytest.raises(AwsRefused):
        made.lift(key)
    assert made.failed() == {}


def test_who_adds_to_the_archive_can_neither_delete_nor_shorten(case: Case, tmp_path: Path) -> None:
    """The least rights suffice to send and to check, also under GOVERNANCE."""
    statements = archive_statements(case.declared)
    with iam_user(case.aws, f"archiver-{os.getpid()}", statements, tmp_path) as archiver:
        case.archive.seal(make_run(case.runs, 3))
        bucket = Bucket(archiver, case.declared)
        assert len(push(case.archive, bucket)) == 1
        case.bucket = bucket
        assert case.failed() == {}
        key, soon = case.key("packages/"), datetime.now(UTC) + timedelta(days=1)
        version = {"Bucket": BUCKET, "Key": key, "VersionId": case.version(key)}
        lifted = {"BypassGovernanceRetention": True}
        shorter = {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": soon}}
        for operation, more in (
            ("delete_object", {}),
            ("delete_object", lifted),
            ("put_object_retention", shorter),
            ("put_object_retention", shorter | lifted),
        ):
            with pytest.raises(AwsRefused) as caught:
                archiver.call("s3", operation, **version, **more)
            assert caught.value.code == "AccessDenied", operation
        with pytest.raises(AwsRefused):
            archiver.call("s3", "delete_object", Bucket=BUCKET, Key=key)
    case.bucket = Bucket(case.aws, case.declared)
    assert case.failed() == {}


def test_a_run_of_the_lab_goes_where_its_parameter_file_says(lab: LabStatus) -> None:
    settings = load_settings(lab.name)
    assert settings.archive is not None
    said: list[str] = []
    run = make_run(outputs_dir() / lab.name, os.getpid())
    assert archive_run(run, settings, said.append) == ""
    assert said == []
    result = CliRunner().invoke(app, ["verify", run.name])
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "verified")
    (run / "executed.html").write_text("another page")
    result = CliRunner().invoke(app, ["verify", run.name])
    assert (result.exit_code, "changed: executed.html" in result.output) == (1, True)
