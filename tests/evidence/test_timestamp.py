"""Time-stamps by an RFC 3161 authority: a real one, made of openssl, on loopback (R4)."""

import http.server
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chronos_ops.evidence.archive import ARCHIVE, TIMESTAMPS
from chronos_ops.evidence.archive_verify import verify_files
from chronos_ops.evidence.archiving import send
from chronos_ops.evidence.chain import read_index
from chronos_ops.evidence.timestamp import request_stamp, stamped_at
from chronos_ops.model.archive import Archive as Declared
from chronos_ops.model.errors import CommandFailed, TransportError
from chronos_ops.model.finding import Status
from tests.evidence.archived_runs import make_archive, make_run
from tests.runner.probing import settings

CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
"""


@dataclass
class Authority:
    """What openssl needs to stamp, and where it is asked."""

    folder: Path
    url: str = ""
    asked: int = 0

    def openssl(self, *words: str) -> bytes:
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self) -> None:
        (self.folder / "ext").write_text("extendedKeyUsage=critical,timeStamping\n")
        (self.folder / "config").write_text(CONFIG.format(folder=self.folder))
        (self.folder / "serial").write_text("01\n")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self_signed = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=a"]
        self.openssl("req", "-x509", *curve, *self_signed)
        self.openssl("req", *curve, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=t")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext"]
        self.openssl("x509", "-req", "-in", "tsa.csr", *signing, "-out", "tsa.pem")

    def answer(self, query: bytes) -> bytes:
        self.asked += 1
        (self.folder / "query").write_bytes(query)
        return self.openssl("ts", "-reply", "-config", "config", "-queryfile", "query")


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    (tmp_path / "tsa").mkdir()
    made = Authority(tmp_path / "tsa")
    made.make()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            reply = made.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def test_lines_are_stamped_and_checked(authority: Authority, tmp_path: Path) -> None:
    runs = tmp_path / "outputs/x"
    declared = Declared(timestamp_url=authority.url)
    archive = make_archive(runs, tmp_path / "state", declared)
    archive.seal(make_run(runs, 1))
    archive.seal(make_run(runs, 2))
    assert send(archive, settings(), print)
    assert authority.asked == 2
    assert send(archive, settings(), print)
    assert authority.asked == 2  # a stamp is asked for once

    def judged(ca_file: str | None) -> Status:
        fingerprint = archive.key.fingerprint
        looked = verify_files(runs, fingerprint=fingerprint, ca_file=ca_file)
        (finding,) = (f for f in looked.findings if f.id == "archive.timestamps")
        return finding.status

    ca_file = str(authority.folder / "ca.pem")
    assert judged(ca_file) is Status.PASS
    assert judged(None) is Status.UNKNOWN
    one, two = read_index(archive.folder).entries
    tokens = runs / ARCHIVE / TIMESTAMPS
    assert "20" in stamped_at(one, tokens / f"{one.name}.tsr", Path(ca_file))
    with pytest.raises(CommandFailed):
        stamped_at(two, tokens / f"{one.name}.tsr", Path(ca_file))
    (tokens / f"{two.name}.tsr").write_bytes((tokens / f"{one.name}.tsr").read_bytes())
    assert judged(ca_file) is Status.FAIL


def test_an_authority_that_does_not_answer_is_asked_again_later(
    authority: Authority, tmp_path: Path
) -> None:
    runs = tmp_path / "outputs/x"
    archive = make_archive(runs, tmp_path / "s", Declared(timestamp_url="http://127.0.0.1:1/"))
    entry = archive.seal(make_run(runs, 1))
    said: list[str] = []
    assert not send(archive, settings(), said.append)
    assert "no time-stamp yet" in said[0]
    with pytest.raises(TransportError):
        request_stamp(entry, "http://127.0.0.1:1/", tmp_path / "token")
    again = make_archive(runs, tmp_path / "s", Declared(timestamp_url=authority.url))
    assert send(again, settings(), said.append)
    assert authority.asked == 1
