"""Django's HTTP inside the ASGI server: its WSGI handler in a few threads, with one hand-over there and one back.

A request is read on the loop before a thread takes it up, so that who sends slowly holds none up; an answer comes back
whole, or, where it is a long one, in parts that wait for each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from io import BytesIO
from typing import Any

from a2wsgi.wsgi import build_environ

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

PART = 256 * 1024  # bytes of an answer that are kept until they are sent


class Door:
    """An ASGI application for HTTP. Of bodies longer than `longest` bytes nothing is read: Django refuses them."""

    def __init__(self, application: Application, *, threads: int, longest: int) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="http")
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._read(scope, receive)
        if body is None:  # who asked left before the end of the question
            return
        asked: Any = build_environ(scope, BytesIO(body))  # type: ignore[arg-type]  # all that Django does is read
        asked.setdefault("CONTENT_LENGTH", str(len(body)))
        exchange = Exchange(send, loop=asyncio.get_running_loop())
        work = copy_context().run
        for message in await exchange.loop.run_in_executor(
            self._threads, work, exchange.answer, self._application, asked
        ):
            await send(message)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        if _announced_length(scope) > self._longest:
            return b""
        pieces: list[bytes] = []
        length = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            pieces.append(message.get("body", b""))
            length += len(pieces[-1])
            if not message.get("more_body") or length > self._longest:
                return b"".join(pieces)


class Exchange:
    """One request in its thread."""

    def __init__(self, send: Send, *, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._send = send
        self._waiting: list[dict[str, Any]] = []

    def answer(self, application: Application, environ: dict[str, Any]) -> list[dict[str, Any]]:
        """The messages that end the answer, or are all of it."""
        chunks = application(environ, self._start)
        try:
            self._gather(chunks)
        finally:
            if close := getattr(chunks, "close", None):
                close()
        return self._waiting

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        encoded = [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]
        self._waiting = [{"type": "http.response.start", "status": int(status[:3]), "headers": encoded}]

    def _gather(self, chunks: Iterable[bytes]) -> None:
        part = bytearray()
        for chunk in chunks:
            part += chunk
            if len(part) >= PART:
                self._say(part, more=True)
                asyncio.run_coroutine_threadsafe(self._send_waiting(), self.loop).result()
                part = bytearray()
        self._say(part, more=False)

    def _say(self, part: bytearray, *, more: bool) -> None:
        self._waiting.append({"type": "http.response.body", "body": bytes(part), "more_body": more})

    async def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            await self._send(message)


def _announced_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
