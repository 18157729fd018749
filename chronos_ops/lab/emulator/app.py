# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""The ASGI application: Lightsail here, everything else ministack's, all of it behind the gate.

Started by `chronos_ops.lab.aws.emulator_command`, which sets the environment that this reads.
"""

import asyncio
import json
import logging
import os
import threading
import uuid
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

from ministack import app as ministack
from ministack.core import persistence

from chronos_ops.lab.emulator import (
    accounts,
    alarms,
    archive_classes,
    conditions,
    gate,
    inbox,
    lightsail,
    mail,
)
from chronos_ops.lab.emulator.hosts import Hosts
from chronos_ops.lab.emulator.lightsail_core import Lightsail, LightsailError
from chronos_ops.lab.emulator.lightsail_state import State

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_LOG = logging.getLogger("chronos.lab.aws")
_FOLDER = Path(os.environ["CHRONOS_LAB_AWS_DIR"])
_REGION = os.environ["MINISTACK_REGION"]
_ACCOUNT = os.environ["MINISTACK_ACCOUNT_ID"]
_PROFILE = os.environ["CHRONOS_LAB_AWS_PROFILE"]
_SAVE_EVERY_SECONDS = 15.0
_MAX_BODY = 1024 * 1024

gate.close_backdoors()
alarms.replace_evaluator()
conditions.teach()
archive_classes.teach()
_ADDRESS, _ENDPOINT = os.environ["CHRONOS_LAB_ADDRESS"], os.environ["CHRONOS_LAB_ENDPOINT"]
mail.install(mail.Post(_ADDRESS, inbox.SMTP_PORT, _ENDPOINT))
_inbox = inbox.Inbox(_FOLDER / "inbox.json")
if not ministack.AUTH:
    raise RuntimeError("the lab's AWS must run with AUTH=true")
_lab = Lightsail(
    State(_FOLDER / "lightsail.json", _ACCOUNT, _REGION),
    Hosts(Path(os.environ["CHRONOS_LAB_SOCKET"])),
)
_background: set[asyncio.Task[None]] = set()
_saving = threading.Lock()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI entry point."""
    if scope["type"] == "lifespan":
        await ministack.app(scope, receive, _with_start_up(send))
        return
    if scope["type"] != "http":
        return
    if scope["path"] == gate.HEALTH:
        body = {"lab": "aws", "account": _ACCOUNT, "region": _REGION, "ready": bool(_background)}
        await _answer(send, 200, body)
        return
    if scope["path"] == gate.INBOX and scope["method"] == "GET":
        recipient = gate.query_of(scope).get("to", [""])[0]
        await _answer(send, 200, {"messages": _inbox.messages(recipient)})
        return
    headers = gate.headers_of(scope)
    if gate.follows_link(scope, headers):
        found, page = await mail.follow_link(gate.query_of(scope), _ACCOUNT, _REGION)
        await _send(send, found, page, b"text/xml")
        return
    target = headers.get("x-amz-target", "")
    try:
        gate.refuse_unsigned(scope, headers)
        if target.startswith(lightsail.TARGET):
            request = gate.Request(scope, await _whole_body(receive), headers)
            status, body = await _lightsail(request, target.removeprefix(lightsail.TARGET))
            await _answer(send, status, body)
            return
    except gate.Denied as denied:
        await _refuse(send, headers, denied)
        return
    await ministack.app(scope, receive, _remembering(scope, send, headers))


def _remembering(scope: Scope, send: Send, headers: dict[str, str]) -> Send:
    """Users, keys, secrets and buckets' settings are on disk before they are acknowledged."""
    credential = headers.get("authorization", "").partition("Credential=")[2].partition(",")[0]
    service = credential.split("/")[-2] if credential.count("/") > 1 else ""
    a_bucket = scope["method"] in ("PUT", "DELETE") and "/" not in scope["path"].strip("/")
    if service not in ("iam", "ssm") and not (service == "s3" and a_bucket):
        return send

    async def answered(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] < 300:
            await asyncio.to_thread(save_everything, service)
        await send(message)

    return answered


async def _lightsail(request: gate.Request, name: str) -> tuple[int, dict[str, Any]]:
    try:
        if name not in lightsail.OPERATIONS:
            raise LightsailError("UnknownOperationException", f"the lab has no Lightsail {name}")
        arguments = lightsail.parse(request.body)
        arn, context = lightsail.judged_by(_lab, name, arguments)
        gate.authorise(request, "lightsail", name, arn, context, _REGION)
        return 200, await asyncio.to_thread(lightsail.call, _lab, name, arguments)
    except gate.Denied as denied:
        return 400, {"__type": denied.code, "message": denied.message}
    except LightsailError as error:
        return error.status, {"__type": error.code, "message": error.message}
    except Exception as error:  # noqa: BLE001 - the API answers every failure, and says so
        _LOG.exception("lightsail %s", name)
        return 500, {"__type": "ServiceException", "message": f"{type(error).__name__}: {error}"}


def _with_start_up(send: Send) -> Send:
    """Before ministack says that it has started: the operator's user; after it: saving."""

    async def started(message: dict[str, Any]) -> None:
        if message["type"] == "lifespan.startup.complete":
            inbox.serve(_inbox, _ADDRESS)
            await accounts.ensure_operator(_FOLDER, _ACCOUNT, _REGION, _PROFILE)
            _background.add(asyncio.create_task(_save_now_and_then()))
            _background.add(asyncio.create_task(alarms.evaluate_for_ever(_ACCOUNT, _REGION)))
        if message["type"] == "lifespan.shutdown.complete":
            for task in _background:
                task.cancel()
        await send(message)

    return started


async def _save_now_and_then() -> None:
    """ministack saves at a clean stop only, and a lab may be killed."""
    while True:
        await asyncio.to_thread(save_everything)
        await asyncio.sleep(_SAVE_EVERY_SECONDS)


def save_everything(*only: str) -> None:
    """Write what ministack's services hold; objects and Lightsail's records are on disk already."""
    states = ministack._build_persistence_save_dict()
    with _saving:  # its temporary files have one name for all
        persistence.save_all({n: state for n, state in states.items() if n in (only or states)})


async def _whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise gate.Denied("RequestTimeout", "the request ended early")
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > _MAX_BODY:
            raise gate.Denied("RequestTooLarge", f"more than {_MAX_BODY} bytes")
        if not message.get("more_body"):
            return body


async def _refuse(send: Send, headers: dict[str, str], denied: gate.Denied) -> None:
    """The refusal in JSON where the call was JSON, in XML otherwise (S3, IAM)."""
    if "json" in headers.get("content-type", ""):
        await _answer(send, 403, {"__type": denied.code, "message": denied.message})
        return
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{denied.code}</Code><Message>{denied.message}</Message></Error>"
    )
    await _send(send, 403, xml.encode(), b"application/xml")


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    await _send(send, status, json.dumps(body).encode(), b"application/x-amz-json-1.1")


async def _send(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
        (b"date", formatdate(usegmt=True).encode()),  # ministack tells hypercorn not to
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
