"""The live text of runs: gathered token by token, said on their topics in as few entries as feel immediate."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import redis.asyncio
import structlog
from redis.exceptions import RedisError

from agents.events import RunDelta
from agents.models import Run
from agents.runs import Progress
from lobby.live.streams import EXPIRY, add, encode, key

log = structlog.get_logger()

SHORTEST_PAUSE = 0.030  # seconds between two flushes
LONGEST_PAUSE = 0.100
PAUSE_PER_RUN = 0.001  # so that 200 chats cost no more frames than the machine can send
FLUSH_AT = 4096  # characters waiting
LONGEST_DELTA = 4096  # characters; in JSON at most 24 KiB
RETRY_SECONDS = 0.5
SETTLE_SECONDS = 1.0


class Track:
    """A text that grows at its end, and how much of it has been said."""

    __slots__ = ("parts", "said_length", "said_parts", "waiting")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.said_parts = 0
        self.said_length = 0  # code points
        self.waiting = 0  # code points

    def append(self, text: str) -> None:
        self.parts.append(text)
        self.waiting += len(text)

    def unsaid(self) -> str:
        return "".join(self.parts[self.said_parts :])

    def confirm(self, *, parts: int, length: int) -> None:
        self.said_parts += parts
        self.said_length += length
        self.waiting -= length

    def said(self) -> str:
        """Joined once, so that a long text is not joined part by part every second."""
        text = "".join(self.parts[: self.said_parts])
        self.parts[: self.said_parts] = [text]
        self.said_parts = 1
        return text

    def whole(self) -> str:
        return "".join(self.parts)


class LiveRun:
    """One attempt at a run, as its worker holds it: every character of it, whatever becomes of Redis."""

    __slots__ = (
        "cancelled",
        "cursor",
        "first_token",
        "logprobs",
        "run",
        "saved_at",
        "saved_cursor",
        "text",
        "thinking",
    )

    def __init__(self, run: Run) -> None:
        self.run = run
        self.text = Track()
        self.thinking = Track()
        self.logprobs: list[Any] = []
        self.cursor = run.cursor
        self.saved_cursor = run.cursor
        self.saved_at = 0.0
        self.first_token: float | None = None  # monotonic seconds
        self.cancelled = asyncio.Event()  # its user wants it stopped

    @property
    def has_begun(self) -> bool:
        return self.first_token is not None

    @property
    def token_age(self) -> float | None:
        """Seconds since the first token."""
        return None if self.first_token is None else time.monotonic() - self.first_token

    def deltas(self) -> list[tuple[Track, int, list[bytes]]]:
        """What has not been said yet: (track, number of parts, encoded events)."""
        found = []
        for track, kind in ((self.thinking, "run.thinking"), (self.text, "run.delta")):
            if parts := len(track.parts) - track.said_parts:
                found.append((track, parts, self._encode(kind, track.said_length, track.unsaid())))
        return found

    def _encode(self, kind: Any, start: int, text: str) -> list[bytes]:
        run, attempt = str(self.run.pk), self.run.attempt
        events = []
        for offset in range(0, len(text), LONGEST_DELTA):
            event: RunDelta = {
                "type": kind,
                "run": run,
                "attempt": attempt,
                "at": start + offset,
                "text": text[offset : offset + LONGEST_DELTA],
            }
            events.append(encode(event))
        return events

    def snapshot(self) -> Progress:
        """Text, thinking and the cursor of the last delta they hold, taken together: a row for runs.save_progress."""
        run = self.run
        self.saved_cursor = self.cursor
        return self.text.said(), self.thinking.said(), self.cursor, self.token_age, run.pk, run.worker, run.attempt


class Publisher:
    """One per process: what all its runs have to say goes to Redis in one pipeline per flush.

    Whoever adds text never waits. What could not be said stays in the runs' tracks and is said later.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._events: deque[tuple[str, bytes]] = deque()
        self._dirty: dict[LiveRun, None] = {}
        self._hurried: set[LiveRun] = set()
        self._bell = asyncio.Event()
        self._urgent = asyncio.Event()
        self._flushed = asyncio.Condition()
        self.live_runs = 0

    def say(self, topic: str, event: Mapping[str, Any]) -> None:
        if topic:
            self._events.append((topic, encode(event)))
            self._hurry()

    def add(self, live: LiveRun, *, content: str = "", thinking: str = "") -> None:
        if thinking:
            live.thinking.append(thinking)
        if content:
            live.text.append(content)
        urgent = not live.has_begun or live.text.waiting + live.thinking.waiting >= FLUSH_AT
        if live.first_token is None:
            live.first_token = time.monotonic()
        self._dirty[live] = None
        if urgent:
            self._hurry(live)
        else:
            self._bell.set()

    def _hurry(self, *lives: LiveRun) -> None:
        self._hurried.update(lives)
        self._urgent.set()
        self._bell.set()

    async def settle(self, live: LiveRun) -> None:
        """Wait until all of the run's text is said, but not for ever: the row gets every character anyway."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS), self._flushed:
                if live in self._dirty:
                    self._hurry(live)
                await self._flushed.wait_for(lambda: live not in self._dirty)

    def drop(self, live: LiveRun) -> None:
        self._dirty.pop(live, None)

    async def work(self) -> None:
        """Everything once per pause; what is urgent at once, without the rest: that would only make more frames."""
        next_round = 0.0  # monotonic seconds
        while True:
            await self._bell.wait()
            await self._pause(next_round - time.monotonic())
            is_round = time.monotonic() >= next_round
            if is_round:
                self._bell.clear()
                next_round = time.monotonic() + min(LONGEST_PAUSE, SHORTEST_PAUSE + PAUSE_PER_RUN * self.live_runs)
            try:
                await self._flush(everything=is_round)
            except RedisError as error:
                log.warning("live_text_waits", error=str(error))
                self._bell.set()
                next_round = 0.0
                await asyncio.sleep(RETRY_SECONDS)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._urgent.wait()
        self._urgent.clear()

    async def _flush(self, *, everything: bool) -> None:
        events = list(self._events)
        lives = [live for live in self._dirty if everything or live in self._hurried]
        self._hurried.clear()
        confirmations = []
        async with self._redis.pipeline(transaction=False) as pipe:
            for topic, payload in events:
                add(pipe, topic, payload)
                pipe.expire(key(topic), EXPIRY)
            for live in lives:
                confirmations.append((live, self._queue_deltas(pipe, live)))
            answers = iter(await pipe.execute())
        for _ in range(2 * len(events)):
            next(answers)
        for _ in events:
            self._events.popleft()
        for live, deltas in confirmations:
            self._confirm(live, deltas, answers)
        async with self._flushed:
            self._flushed.notify_all()

    def _queue_deltas(self, pipe: Any, live: LiveRun) -> list[tuple[Track, int, int, int]]:
        queued = []
        for track, parts, payloads in live.deltas():
            length = sum(map(len, track.parts[track.said_parts : track.said_parts + parts]))
            entries = payloads if live.run.topic else []
            for payload in entries:
                add(pipe, live.run.topic, payload)
            queued.append((track, parts, length, len(entries)))
        return queued

    def _confirm(self, live: LiveRun, deltas: list[tuple[Track, int, int, int]], answers: Any) -> None:
        for track, parts, length, entries in deltas:
            track.confirm(parts=parts, length=length)
            for _ in range(entries):
                live.cursor = next(answers).decode()
        if not live.text.waiting and not live.thinking.waiting:
            self._dirty.pop(live, None)
        else:
            self._bell.set()
