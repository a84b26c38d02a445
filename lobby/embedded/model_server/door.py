"""Who may come in, and what happens when they leave: two layers around the application."""

import asyncio
import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("", "localhost")
LOCAL_ENDINGS = (".localhost", ".local", ".internal")
LOCAL_ORIGINS = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - what a browser may call this machine
APPLICATIONS = ("app", "file", "tauri", "vscode-webview", "vscode-file")
EXTENSIONS = ("chrome-extension", "safari-extension", "moz-extension", "ms-browser-extension", "safari-web-extension")


class Door:
    """Refuses a Host or Origin that is not this machine's (403, empty): a page elsewhere cannot reach the model by
    rebinding a name to loopback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not is_local(headers.get("host", "")) or not may_ask(headers.get("origin", "")):
                await Response(status_code=403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def is_local(host: str) -> bool:
    name = host_name(host)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in LOCAL_NAMES or name.endswith(LOCAL_ENDINGS) or name == socket.gethostname().lower()
    return address.is_loopback or address.is_private or address.is_unspecified


def may_ask(origin: str) -> bool:
    if not origin:
        return True
    parts = urlsplit(origin)
    if parts.scheme in ("http", "https"):
        return host_name(parts.netloc) in LOCAL_ORIGINS
    return parts.scheme in APPLICATIONS + EXTENSIONS


def host_name(host: str) -> str:
    """Without its port, and an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host


class Attention:
    """Ends the work for a client that has gone, whatever stage it is in: closing the connection is how a model is told
    to stop."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await read_body(receive)
        if body is None:
            return
        gone = asyncio.ensure_future(receive())  # after the body, the only thing to come is the end
        work = asyncio.ensure_future(self.app(scope, replay(body, gone), send))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not work.done():
                work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            gone.cancel()


async def read_body(receive: Receive) -> bytes | None:
    """None where the client left before it had sent all."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def replay(body: bytes, gone: "asyncio.Future[Message]") -> Receive:
    told: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return told.pop() if told else await asyncio.shield(gone)

    return receive
