"""Key pairs: imported public keys only; the lab makes no private keys."""

import base64
import binascii
import hashlib

from chronos_ops.lab.emulator.lightsail_core import (
    Answer,
    Arguments,
    Lightsail,
    LightsailError,
    plain,
)


def import_pair(lab: Lightsail, arguments: Arguments) -> Answer:
    name = arguments["keyPairName"]
    line = _public_line(arguments["publicKeyBase64"])
    with lab.state.changing():
        lab.free_name("KeyPair", name)
        blob = base64.b64decode(line.split()[1])
        digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
        fingerprint = ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
        lab.state.new("KeyPair", name, fingerprint=fingerprint, _public_line=line)
        done = lab.state.operation("KeyPair", name, "ImportKeyPair")
    return {"operation": done}


def get(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"keyPair": plain(lab.named("KeyPair", arguments["keyPairName"]))}


def get_all(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"keyPairs": [plain(record) for record in lab.state.all("KeyPair").values()]}


def delete(lab: Lightsail, arguments: Arguments) -> Answer:
    name = arguments["keyPairName"]
    with lab.state.changing():
        lab.named("KeyPair", name)
        del lab.state.all("KeyPair")[name]
        done = lab.state.operation("KeyPair", name, "DeleteKeyPair")
    return {"operation": done}


def _public_line(text: str) -> str:
    """An OpenSSH public key, sent as it is or base64-encoded once more.

    The API reference: "a base64-encoded public key of the ssh-rsa type".
    """
    line = text.strip()
    if not line.startswith("ssh-"):
        try:
            line = base64.b64decode(line, validate=True).decode("ascii").strip()
        except (binascii.Error, UnicodeDecodeError):
            line = ""
    parts = line.split()
    if len(parts) < 2 or parts[0] != "ssh-rsa":
        raise LightsailError("InvalidInputException", "the public key is not of the ssh-rsa type")
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except binascii.Error:
        blob = b""
    if not blob.startswith(b"\x00\x00\x00\x07ssh-rsa"):
        raise LightsailError(
            "InvalidInputException", "the public key is not a readable ssh-rsa key"
        )
    return line
