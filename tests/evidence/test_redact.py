"""Every encoding of a secret is found; what is no secret stays."""

import base64
import html
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from chronos_ops.evidence.redact import MASK, Redactor
from chronos_ops.model.secret import Secret

SECRET = 'it\'s "a" se+cr/et=ü\\&<x>'
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQ\n-----END KEY-----"

ENCODED: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    lambda s: quote(s, safe=""),
    lambda s: quote(s, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    lambda s: s.encode().hex(),
    lambda s: s.encode().hex().upper(),
    shlex.quote,
    json.dumps,
    lambda s: json.dumps(s, ensure_ascii=False),
    repr,
    html.escape,
    lambda s: s.replace("'", "''"),
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.b64encode(b"u:" + s.encode()).decode(),
    lambda s: base64.b64encode(b"user:" + s.encode() + b"!").decode(),
    lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
]


@pytest.mark.parametrize("encode", ENCODED)
def test_each_encoding_is_replaced(encode: Callable[[str], str]) -> None:
    encoded = encode(SECRET)
    cleaned = Redactor(Secret(SECRET)).text(f"before {encoded} after")
    assert MASK in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    core = encoded.strip("\"'")[4:-4]
    assert core not in cleaned


def test_colours_inside_a_secret_do_not_hide_it() -> None:
    coloured = "password=\x1b[32mhun\x1b[39m\x1b[1mter22\x1b[0m!"
    assert "hun" not in Redactor(Secret("hunter22")).text(coloured)


def test_single_lines_of_a_key_are_secrets() -> None:
    cleaned = Redactor(Secret(PEM)).text("+  MIIEvQIBADANBgkqhkiG9w0BAQ\n-----BEGIN KEY-----")
    assert cleaned == "+  ***\n-----BEGIN KEY-----"


def test_longest_first_so_that_no_rest_stays() -> None:
    assert Redactor(Secret("secret"), Secret("secret-extended")).text("secret-extended") == MASK


def test_data_is_redacted_in_keys_texts_and_numbers() -> None:
    redactor = Redactor(Secret("48291034"))
    assert redactor.data({"pin 48291034": [48291034, 7, True, None, ("48291034",)]}) == {
        "pin ***": [MASK, 7, True, None, [MASK]]
    }


def test_without_secrets_nothing_changes() -> None:
    redactor = Redactor(Secret(""), Secret("abc"))
    assert redactor.text("abc ***") == "abc ***"


def test_files_are_cleaned_in_place_binary_ones_too(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xff\x00 hunter22 \xfe")
    redactor = Redactor(Secret("hunter22"))
    assert redactor.file(path)
    assert path.read_bytes() == b"\xff\x00 *** \xfe"
    assert not redactor.file(path)
    assert list(tmp_path.iterdir()) == [path]
