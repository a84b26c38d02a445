"""The hub of a web process: one blocking read over all watched topics, fanned out to the outboxes of sockets."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4
from weakref import WeakKeyDictionary

import structlog
from django.db import Error
from redis.exceptions import RedisError

from lobby.database import in_database
from lobby.live import topics
from lobby.live.connections import async_redis
from lobby.live.outbox import Outbox
from lobby.live.streams import FIELD, START, Cursor, format_cursor, key, parse_cursor

log = structlog.get_logger()

BLOCK_MS = 20_000
RETRY_SECONDS = 0.5
RENEW_SECONDS = 3.0


class Hub:
    """Belongs to one event loop. Topics are read from the moment the first outbox watches them."""

    def __init__(self, *, renew_every: float = RENEW_SECONDS) -> None:
        self._renew_every = renew_every
        self._redis = async_redis()
        self._reader = async_redis()
        self._bell = f"lobby:hub:{uuid4()}"  # a stream of our own: an entry ends the blocking read
        self._bell_cursor = "0"
        self._outboxes: defaultdict[str, set[Outbox]] = defaultdict(set)
        self._positions: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def watch(self, topic: str, outbox: Outbox) -> None:
        """From now on every event of the topic goes to the outbox. Raises RedisError if Redis is away."""
        known = topic in self._positions
        if not known:
            self._positions.setdefault(topic, format_cursor(await self.tail(topic)))
        self._outboxes[topic].add(outbox)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        elif not known:
            await self._ring()
        if self._renewals() and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._renew())

    def unwatch(self, topic: str, outbox: Outbox) -> None:
        outboxes = self._outboxes.get(topic)
        if outboxes is None:
            return
        outboxes.discard(outbox)
        if not outboxes:
            del self._outboxes[topic]
            self._positions.pop(topic, None)

    @property
    def readers(self) -> int:
        """Sockets and event streams that are open: each watches its user's topic, if no other."""
        return len(set().union(*self._outboxes.values()))

    async def tail(self, topic: str) -> Cursor:
        """The last entry of the topic's stream; START if there is none."""
        last = await self._redis.xrevrange(key(topic), count=1)
        return (parse_cursor(last[0][0]) or START) if last else START

    async def covers(self, topic: str, after: Cursor) -> bool:
        """Whether the stream still holds everything that came after this cursor."""
        first = await self._redis.xrange(key(topic), count=1)
        return bool(first) and (parse_cursor(first[0][0]) or START) <= after <= await self.tail(topic)

    async def replay(self, topic: str, after: Cursor) -> list[tuple[Cursor, bytes]]:
        entries = await self._redis.xrange(key(topic), min=f"({format_cursor(after)}")
        return [(parse_cursor(cursor) or START, fields[FIELD]) for cursor, fields in entries]

    async def _ring(self) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(self._bell, {FIELD: b""}, maxlen=1, approximate=False)
            pipe.expire(self._bell, 60)
            await pipe.execute()

    async def _read(self) -> None:
        while self._positions:
            try:
                await self._read_once()
            except RedisError as error:
                log.warning("live_streams_away", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _read_once(self) -> None:
        streams = {self._bell: self._bell_cursor, **{key(topic): at for topic, at in self._positions.items()}}
        reply = await self._reader.xread(streams, block=BLOCK_MS, count=1000)  # type: ignore[arg-type]
        prefix = len(key(""))
        for name, entries in reply:
            if name.decode() == self._bell:
                self._bell_cursor = entries[-1][0].decode()
            else:
                self._deliver(name.decode()[prefix:], entries)

    def _deliver(self, topic: str, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        if topic not in self._positions:
            return
        self._positions[topic] = entries[-1][0].decode()
        outboxes = tuple(self._outboxes[topic])
        for cursor, fields in entries:
            at = parse_cursor(cursor) or START
            for outbox in outboxes:
                outbox.put(topic, at, fields[FIELD])

    def _renewals(self) -> list[tuple[Callable[[str], None], str]]:
        found = [topics.split(topic) for topic in self._outboxes]
        return [(kind.renew, ident) for kind, ident in filter(None, found) if kind.renew]

    async def _renew(self) -> None:
        while renewals := self._renewals():
            for renew, ident in renewals:
                try:
                    await in_database(renew, ident)
                except (RedisError, Error) as error:
                    log.warning("topic_not_renewed", error=str(error))
            await asyncio.sleep(self._renew_every)

    async def close(self) -> None:
        for task in filter(None, (self._task, self._renewing)):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._redis.aclose()
        await self._reader.aclose()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running loop; a web process has one loop, so one hub."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
