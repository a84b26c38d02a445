"""The socket's events as server-sent events, for API clients: GET /api/topics/<topic>/events.

ASGI of its own, as Django's HTTP runs in threads here and a stream would occupy one for as long as it lasts.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import unquote

import orjson
from redis.exceptions import RedisError

from lobby.database import in_database
from lobby.live.attach import NotAllowed, attach
from lobby.live.hub import hub
from lobby.live.outbox import Outbox
from lobby.live.sessions import RECHECK_SECONDS, is_end, is_signed_in, own_topic
from lobby.problems import problem

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PREFIX, SUFFIX = "/api/topics/", "/events"
HEARTBEAT_SECONDS = 15


def matches(path: str) -> bool:
    return path.startswith(PREFIX) and path.endswith(SUFFIX)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    user = scope.get("user")
    if scope["method"] != "GET":
        return await say_problem(send, 405, "Only GET is possible here.")
    if user is None or not user.is_authenticated:
        return await say_problem(send, 401, "Sign in first.")
    topic = unquote(scope["path"][len(PREFIX) : -len(SUFFIX)])
    after = dict(scope["headers"]).get(b"last-event-id", b"").decode("latin-1")
    reader = Reader(topic, user, scope.get("may_go_on") or partial(is_signed_in, scope["session"], user))
    try:
        frames = await reader.attach(after=after)
    except NotAllowed:
        reader.leave()
        return await say_problem(send, 404, "There is no such topic.")
    except RedisError:
        reader.leave()
        return await say_problem(send, 503, "The live streams are away for a moment; try again.")
    try:
        await _stream(reader.frames(frames), receive, send)
    finally:
        reader.leave()


class Reader:
    """One stream: what is said on a topic, for as long as the session (or key) that asked for it lasts."""

    def __init__(self, topic: str, user: Any, is_still_in: Callable[[], bool]) -> None:
        self.topic, self.user, self.is_still_in = topic, user, is_still_in
        self.own = own_topic(user)
        self.outbox = Outbox()
        self.look_again = 0.0

    async def attach(self, *, after: str = "") -> list[str]:
        """Raises NotAllowed, RedisError."""
        frames = await attach(hub(), self.outbox, self.topic, user=self.user, after=after)
        if self.own != self.topic:  # only to hear when the session ends
            await attach(hub(), self.outbox, self.own, user=self.user)
            self.outbox.release(self.own)
        return frames

    def leave(self) -> None:
        for topic in (self.topic, self.own):
            hub().unwatch(topic, self.outbox)

    async def frames(self, frames: list[str]) -> AsyncIterator[str]:
        """Frames, and every 15 s of silence an empty text. Ends where the client is to come again, if it may."""
        while await self._may_go_on():
            for text in frames:
                if is_end(text):
                    return
                if self.own == self.topic or not text.startswith(f'{{"topic":"{self.own}"'):
                    yield text
            if self.outbox.watches[self.topic].held is not None:
                self.outbox.release(self.topic)
            try:
                frames, overflowed = await asyncio.wait_for(self.outbox.take(), HEARTBEAT_SECONDS)
            except TimeoutError:
                frames, overflowed = [""], []
            if overflowed:
                try:
                    frames = await self.attach()
                except (NotAllowed, RedisError):
                    return

    async def _may_go_on(self) -> bool:
        if time.monotonic() < self.look_again:
            return True
        self.look_again = time.monotonic() + RECHECK_SECONDS
        return await in_database(self.is_still_in)


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


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def say_problem(send: Send, status: int, detail: str, *, retry_after: int | None = None) -> None:
    answer = problem(status, detail, retry_after=retry_after)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})
