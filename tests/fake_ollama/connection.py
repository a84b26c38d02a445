"""HTTP/1.1 as far as clients of Ollama speak it, on a bare protocol so that 200 streams cost little."""

import asyncio
import socket
import struct
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

import orjson

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
PLAIN = "text/plain"


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Connection(asyncio.Protocol):
    """One client. Its requests are answered one after another by `answer`, cancelled when the client leaves."""

    def __init__(
        self, answer: Callable[["Connection", Request], Awaitable[None]], *, everyone: set["Connection"]
    ) -> None:
        self._answer = answer
        self._everyone = everyone
        self._received = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.left = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._everyone.add(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._task is None:
            self._begin()

    def eof_received(self) -> bool:
        self._leave()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._everyone.discard(self)
        self._leave()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drain(self) -> None:
        await self._writable.wait()

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.write("\r\n".join([*lines, "", ""]).encode())

    def begin_chunks(self, *, status: int = 200, content_type: str = NDJSON) -> None:
        self.head(status, {"Content-Type": content_type, "Date": date(), "Transfer-Encoding": "chunked"})

    def chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self) -> None:
        self.write(b"0\r\n\r\n")

    def reply(self, status: int, body: Any, *, content_type: str = JSON) -> None:
        data = body.encode() if isinstance(body, str) else orjson.dumps(body)
        self.head(status, {"Content-Type": content_type, "Date": date(), "Content-Length": str(len(data))})
        self.write(data)

    def refuse(self, status: int, words: str) -> None:
        self.reply(status, {"error": words})

    def close(self) -> None:
        self._transport.close()

    def cut(self, *, reset: bool = False) -> None:
        if reset:
            # Without lingering, a close sends RST instead of FIN.
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()

    def _leave(self) -> None:
        self.left.set()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        request = self._take()
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._serve(request))

    async def _serve(self, request: Request) -> None:
        try:
            await self._answer(self, request)
        except Exception:  # noqa: BLE001 - the edge of the process: nobody awaits this task
            traceback.print_exc()
            self.close()
        self._task = None
        self._begin()

    def _take(self) -> Request | None:
        head, end, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        self._received = bytearray(rest[length:])
        method, target, _ = first.split(" ", 2)
        return Request(method, target.partition("?")[0], headers, rest[:length])


def date() -> str:
    return formatdate(usegmt=True)
