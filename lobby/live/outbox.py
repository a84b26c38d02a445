"""What waits to be sent to one socket, bounded: who reads too slowly gets a fresh snapshot instead of a backlog."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from lobby.live.streams import START, Cursor, format_cursor

MAX_EVENTS = 256
MAX_BYTES = 1024 * 1024


@dataclass(slots=True)
class Watch:
    """How far a socket is with one topic."""

    last: Cursor = START
    held: list[tuple[Cursor, bytes]] | None = field(default_factory=list)  # not None: still catching up
    overflowed: bool = False


class Outbox:
    """Belongs to one socket. `put` never waits; `take` waits for the next frame or topic to send afresh."""

    def __init__(self) -> None:
        self.watches: dict[str, Watch] = {}
        self._frames: deque[tuple[str, str]] = deque()
        self._bytes = 0
        self._ready = asyncio.Event()

    def hold(self, topic: str) -> Watch:
        """Begin to watch a topic: its events are kept back until `release`."""
        watch = self.watches[topic] = Watch()
        self._frames = deque(entry for entry in self._frames if entry[0] != topic)
        self._bytes = sum(len(frame) for _, frame in self._frames)
        return watch

    def release(self, topic: str) -> None:
        """The topic is caught up to its watch's `last`: what was held follows, then whatever comes."""
        watch = self.watches[topic]
        held, watch.held = watch.held or [], None
        for cursor, payload in held:
            self.put(topic, cursor, payload)
        if watch.overflowed:
            self._ready.set()

    def forget(self, topic: str) -> None:
        self.watches.pop(topic, None)

    def put(self, topic: str, cursor: Cursor, payload: bytes) -> None:
        watch = self.watches.get(topic)
        if watch is None or watch.overflowed or cursor <= watch.last:
            return
        if watch.held is not None:
            watch.held.append((cursor, payload))
            watch.overflowed = len(watch.held) > MAX_EVENTS
            return
        watch.last = cursor
        text = frame(topic, cursor, payload)
        self._frames.append((topic, text))
        self._bytes += len(text)
        if len(self._frames) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._overflow()
        self._ready.set()

    def _overflow(self) -> None:
        """Drop all that waits; every topic that lost something has to be sent afresh."""
        for topic, _ in self._frames:
            if topic in self.watches:
                self.watches[topic].overflowed = True
        self._frames.clear()
        self._bytes = 0

    async def take(self) -> tuple[list[str], list[str]]:
        """All frames that wait, in order, and the topics that overflowed. Waits until there is something."""
        await self._ready.wait()
        self._ready.clear()
        frames = [text for topic, text in self._frames if topic in self.watches]
        self._frames.clear()
        self._bytes = 0
        return frames, [topic for topic, watch in self.watches.items() if watch.overflowed]


def frame(topic: str, cursor: Cursor, payload: bytes) -> str:
    """The event spliced in as it is: it was encoded where it was said."""
    return f'{{"topic":"{topic}","id":"{format_cursor(cursor)}","event":{payload.decode()}}}'
