"""The socket's events as server-sent events, for API clients: GET /api/topics/<topic>/events.

ASGI of its own, as Django's HTTP runs in threads here and a stream would occupy one for as long as it lasts.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import orjson
from redis.exceptions import RedisError

from lobby.live.attach import NotAllowed, attach
from lobby.live.hub import hub
from lobby.live.outbox import Outbox

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PREFIX, SUFFIX = "/api/topics/", "/events"
HEARTBEAT_SECONDS = 15


def matches(path: str) -> bool:
    return path.startswith(PREFIX) and path.endswith(SUFFIX)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    user = scope.get("user")
    if scope["method"] != "GET":
        return await _problem(send, 405, "Only GET is possible here.")
    if user is None or not user.is_authenticated:
        return await _problem(send, 401, "Sign in first.")
    topic = unquote(scope["path"][len(PREFIX) : -len(SUFFIX)])
    after = dict(scope["headers"]).get(b"last-event-id", b"").decode("latin-1")
    outbox = Outbox()
    try:
        frames = await attach(hub(), outbox, topic, user=user, after=after)
    except NotAllowed:
        hub().unwatch(topic, outbox)
        return await _problem(send, 404, "There is no such topic.")
    except RedisError:
        hub().unwatch(topic, outbox)
        return await _problem(send, 503, "The live streams are away for a moment; try again.")
    try:
        await _stream(_frames(outbox, topic, frames, user), receive, send)
    finally:
        hub().unwatch(topic, outbox)


async def _stream(frames: AsyncIterator[str], receive: Receive, send: Send) -> None:
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.create_task(_gone(receive))
    writer = asyncio.create_task(_write(frames, send))
    _, pending = await asyncio.wait({gone, writer}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    if not writer.cancelled():
        writer.result()


async def _write(frames: AsyncIterator[str], send: Send) -> None:
    async for text in frames:
        await send({"type": "http.response.body", "body": _encode(text), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _encode(text: str) -> bytes:
    if not text:
        return b": still here\n\n"
    entry = orjson.loads(text)
    return b"id: %b\ndata: %b\n\n" % (entry["id"].encode(), orjson.dumps(entry["event"]))


async def _frames(outbox: Outbox, topic: str, frames: list[str], user: Any) -> AsyncIterator[str]:
    """Frames, and every 15 s of silence an empty text."""
    while True:
        for text in frames:
            yield text
        if outbox.watches[topic].held is not None:
            outbox.release(topic)
        try:
            frames, overflowed = await asyncio.wait_for(outbox.take(), HEARTBEAT_SECONDS)
        except TimeoutError:
            frames, overflowed = [""], []
        if overflowed:
            try:
                frames = await attach(hub(), outbox, topic, user=user)
            except (NotAllowed, RedisError):
                return  # the client comes again with Last-Event-ID


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _problem(send: Send, status: int, detail: str) -> None:
    body = orjson.dumps({"type": "about:blank", "status": status, "title": detail, "detail": detail})
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
