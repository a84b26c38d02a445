"""What the fake was asked and how it ended: the proof of cancel, bulkhead and retry."""

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field, fields
from typing import Any

KEPT = 1000


@dataclass(slots=True)
class StreamSeen:
    """One chat. Times are `time.monotonic()`, which on Linux all processes share; None: did not happen."""

    number: int
    model: str
    asked: float
    first_token: float | None = None
    last_token: float | None = None
    ended: float | None = None
    end: str = "open"
    """open, done, left (the client went away before the end) or fault (as scripted)."""
    tokens: int = 0

    def sent(self) -> None:
        now = time.monotonic()
        self.first_token = self.first_token or now
        self.last_token = now
        self.tokens += 1


@dataclass(slots=True)
class Stats:
    requests: Counter[str] = field(default_factory=Counter)
    bodies: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    """The last chat requests as they came."""
    streams: deque[StreamSeen] = field(default_factory=lambda: deque(maxlen=KEPT))
    chats: int = 0
    open_now: int = 0
    max_open: int = 0
    generating_now: int = 0
    max_generating: int = 0
    """Chats that hold a slot, as against those that wait for one."""
    disconnects: int = 0
    """Chats whose client went away before the end."""
    loads: int = 0
    pulls_open: int = 0
    pulls_left: int = 0
    """Pulls whose client went away before the end."""
    connections: int = 0
    """That clients have opened, whatever they asked on them."""

    def opened(self, request: dict[str, Any]) -> StreamSeen:
        self.bodies.append(request)
        seen = StreamSeen(self.chats, request["model"], time.monotonic())
        self.streams.append(seen)
        self.chats += 1
        self.open_now += 1
        self.max_open = max(self.max_open, self.open_now)
        return seen

    def closed(self, seen: StreamSeen, end: str) -> None:
        seen.end = end
        seen.ended = time.monotonic()
        self.open_now -= 1
        self.disconnects += end == "left"

    def as_json(self) -> dict[str, Any]:
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return plain | {"bodies": list(self.bodies), "streams": [asdict(seen) for seen in self.streams]}
