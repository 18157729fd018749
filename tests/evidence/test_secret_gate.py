"""What holds a secret is found, wherever and however it is written; what holds none is not (R5)."""

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.secret_gate import KNOWN, look_over
from chronos_ops.model.archive import Allowed
from chronos_ops.model.secret import Secret

SECRET = 'Tr0ub4dor&3 "x"/+ü'
AKIA = "AKIA" + "Q3EGRPLMSDXWZ7KF"  # in halves: this file shall not look like a leak itself
KEY_40 = "x9Kf2Lm7Qp4Rt8Vw" + "1Zb5Nc3Hd6Jg0Sy+aE/uTiOk"
PEM = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n"


def notebook(*outputs: dict[str, Any], source: str = "run.step('look', look)") -> str:
    cell = {"cell_type": "code", "id": "look", "source": source, "outputs": list(outputs)}
    return json.dumps({"cells": [cell]}, indent=1, ensure_ascii=False)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(text: str, mime: str = "text/plain") -> dict[str, Any]:
    return {"output_type": "display_data", "data": {mime: text}, "metadata": {}}


def rules(folder: Path, *known: str, allowed: tuple[Allowed, ...] = ()) -> set[str]:
    found = look_over(folder, Redactor(*map(Secret, known)), allowed)
    told = " ".join(map(str, found))
    for value in (*known, AKIA, KEY_40, "b3BlbnNzaC1rZXkt", "Xk29-lmQ.7"):
        assert value not in told, "the gate tells the value"
    return {place.rule for place in found}


ENCODED: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 in the middle": lambda s: base64.b64encode(b"u:" + s.encode() + b"!").decode(),
    "url": lambda s: quote(s, safe=""),
    "hex": lambda s: s.encode().hex(),
    "json": json.dumps,
    "json in json": lambda s: json.dumps(json.dumps(s)),
    "html": html.escape,
    "python": repr,
    "wrapped": lambda s: (
        "\n".join(base64.b64encode(s.encode()).decode()[i : i + 8] for i in (0, 8))
        + "\n"
        + base64.b64encode(s.encode()).decode()[16:]
    ),
}


@pytest.mark.parametrize("how", ENCODED)
@pytest.mark.parametrize("name", ["logs/x.log", "result.json", "executed.ipynb", "journal.jsonl"])
def test_a_known_secret_is_found_in_every_encoding(tmp_path: Path, how: str, name: str) -> None:
    text = f"before {ENCODED[how](SECRET)} after"
    (tmp_path / "logs").mkdir()
    content = {
        "logs/x.log": text,
        "result.json": json.dumps({"a": [text]}),
        "executed.ipynb": notebook(stream(text)),
        "journal.jsonl": json.dumps({"data": text}) + "\n",
    }[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert KNOWN in rules(tmp_path, SECRET)


@pytest.mark.parametrize(
    "outputs",
    [
        (stream("pass hunter2"), stream("secret\n", "stderr")),
        (shown("hunter2"), shown("secret", "text/html")),
        (stream("hunter2\n"), shown("<b>secret</b>", "text/html")),
        (shown("hunter2"), stream("between", "stderr"), stream("hunter2sec\nret")),
    ],
)
def test_a_known_secret_is_found_split_over_outputs(
    tmp_path: Path, outputs: tuple[dict[str, Any], ...]
) -> None:
    (tmp_path / "executed.ipynb").write_text(notebook(*outputs))
    assert rules(tmp_path, "hunter2secret") == {KNOWN}
    assert rules(tmp_path, "hunter3secret") == set()


def test_a_known_secret_is_found_in_metadata_and_in_binary_files(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(b"\xff\x00hunter2secret\xfe")
    found = look_over(tmp_path, Redactor(Secret("hunter2secret")))
    assert [(p.file, p.where, p.rule) for p in found] == [("core", "line 1", KNOWN)]
    (tmp_path / "core").unlink()
    data = json.loads(notebook())
    data["cells"][0]["metadata"] = {"hunter2secret": 1}
    (tmp_path / "executed.ipynb").write_text(json.dumps(data))
    assert rules(tmp_path, "hunter2secret") == {KNOWN}


LEAKS = {
    f"key {AKIA}": "aws-access-key",
    f"aws_secret_access_key = {KEY_40}": "aws-secret-key",
    f'{{"SecretAccessKey": "{KEY_40}"}}': "aws-secret-key",
    PEM: "private-key",
    json.dumps(PEM): "private-key",
    "postgresql://app:Xk29-lmQ.7@db.internal/app": "url-password",
    "https://:Xk29-lmQ.7@example.org/": "url-password",
    "password=Xk29-lmQ.7 host=db": "assignment",
    '"operator_password": "Xk29-lmQ.7"': "assignment",
    "&quot;password&quot;: &quot;Xk29-lmQ.7&quot;": "assignment",
    json.dumps('{"passwd": "Xk29-lmQ.7"}'): "assignment",
    "export PGPASSWORD='Xk29-lmQ.7'": "assignment",
    "repo1-cipher-pass=Xk29-lmQ.7": "assignment",
    "repo1-s3-key-secret=Xk29-lmQ.7": "assignment",
    "api_key: Xk29-lmQ.7": "assignment",
    "Authorization: Bearer Xk29-lmQ.7": "authorization",
    "https://b.s3.amazonaws.com/k?X-Amz-Signature=" + "0123456789abcdef" * 4: "signed-url",
    "ghp_" + "Ab3" * 12: "token",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "s5fJ2kQpLr8W": "token",
    "SCRAM-SHA-256$4096:9Xq1vE2lqGk=$" + "Ab3d" * 11 + "=:" + "Ef9h" * 11 + "=": "password-hash",
    "root:$6$saltsalt$" + "Ab3d" * 12: "password-hash",
}


@pytest.mark.parametrize("text", LEAKS)
def test_what_looks_like_a_secret_is_found_with_its_place(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.log").write_text(f"a line\n{text}\n")
    (place, *more) = look_over(tmp_path, Redactor())
    assert {p.rule for p in (place, *more)} >= {LEAKS[text]}
    assert place.where == "line 2"
    assert rules(tmp_path) >= {LEAKS[text]}
    (tmp_path / "x.log").unlink()
    (tmp_path / "executed.ipynb").write_text(notebook(stream(text)))
    found = look_over(tmp_path, Redactor())
    assert LEAKS[text] in {p.rule for p in found}
    assert any(p.where.startswith("cell look, output 1") for p in found)


HARMLESS = [
    "password=*** host=db",
    "postgresql://app:***@db/app",
    "postgresql://app:${PASSWORD}@db/app",
    "cipher_secret: /chronos/backup/cipher-pass",
    "operator_password_secret=/chronos/postgres/operator-password",
    "token: the answer of the service",
    "password = secret.reveal()",
    "password=Secret('***')",
    "key: executed.ipynb",
    "password_encryption = scram-sha-256",
    "host all all 0.0.0.0/0 scram-sha-256",
    "AKIAIOSFODNN7EXAMPLE",
    "aws key sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709",
    '"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
    "-----BEGIN PRIVATE " + "KEY-----\n***",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqmG7wV4W0mWb3v4l2sGk0ZtqVQJZ8Yd0fPzq5n operator@lab",
    "http://10.1.2.3:8443/path@x",
    "mailto:ops@example.org at 12:30",
    "passwordless sudo: yes",
    "PAM takes no empty password: common-auth: auth\t[success=1 default=ignore]",
    "operator password: SCRAM-SHA-256 (expected: SCRAM-SHA-256)",
    "passphrase: aes-256-cbc",
    "token: GetParameterByPath",
    "secret: 20261122T214503Z-drill-1f00ba",
    "secret: 2026-11-22T21:00:00.000000Z",
    "md5: 0123456789abcdef0123456789abcdef",
    "<code>secrets</code>: none of them",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.log").write_text(text)
    (tmp_path / "executed.ipynb").write_text(notebook(stream(text), source=text))
    assert look_over(tmp_path, Redactor()) == []


def test_our_own_notebooks_and_documents_are_clean(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for path in [*(root / "notebooks").glob("*.ipynb"), *root.glob("*.md")]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert len(list(tmp_path.iterdir())) > 3
    assert list(map(str, look_over(tmp_path, Redactor()))) == []


def test_a_page_of_a_real_size_is_clean(tmp_path: Path) -> None:
    from nbconvert.exporters.html import HTMLExporter

    make: Any = HTMLExporter
    import nbformat

    read: Any = nbformat.reads
    path = Path(__file__).parents[2] / "notebooks/disaster_recovery.ipynb"
    page, _ = make(template_name="lab").from_notebook_node(read(path.read_text(), as_version=4))
    (tmp_path / "executed.html").write_text(page)
    assert len(page) > 200_000
    assert list(map(str, look_over(tmp_path, Redactor()))) == []


def test_an_exception_is_exact_and_never_for_a_known_secret(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(f"key {AKIA}")
    exception = Allowed(rule="aws-access-key", file="*.log", text=AKIA, reason="an old key")
    assert rules(tmp_path, allowed=(exception,)) == set()
    for other in ({"rule": "token"}, {"file": "*.html"}, {"text": "AKIA"}):
        assert rules(tmp_path, allowed=(exception.model_copy(update=other),)) == {"aws-access-key"}
    assert rules(tmp_path, AKIA, allowed=(exception,)) == {KNOWN}
