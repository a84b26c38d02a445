"""How a reader joins a topic: what the database knows, then everything since, then live; nothing lost or repeated."""

from typing import Any

from lobby.database import in_database
from lobby.live import topics
from lobby.live.hub import Hub
from lobby.live.outbox import Outbox, frame
from lobby.live.streams import START, Cursor, encode, format_cursor, parse_cursor


class NotAllowed(Exception):
    """There is no such topic, or it is not this user's: the two look the same."""


async def attach(hub: Hub, outbox: Outbox, topic: str, *, user: Any, after: str = "") -> list[str]:
    """The frames that bring a reader up to date, who last saw the cursor `after`.

    What comes meanwhile is held back until the caller, having sent these, says `outbox.release(topic)`.
    Raises NotAllowed; RedisError if the live streams are away.
    """
    found = topics.split(topic)
    if found is None:
        raise NotAllowed
    kind, ident = found
    if not await in_database(kind.may_attach, user, ident):
        raise NotAllowed
    watch = outbox.hold(topic)
    await hub.watch(topic, outbox)
    seen = parse_cursor(after)
    frames = []
    if seen is not None and await hub.covers(topic, seen):
        watch.last = seen
    else:
        tail = await hub.tail(topic)  # before the database is read: what is said meanwhile is replayed
        snapshot = await in_database(kind.snapshot, ident)
        watch.last = _since(snapshot, tail)
        frames.append(frame(topic, watch.last, encode(snapshot | {"cursor": format_cursor(watch.last)})))
    for cursor, payload in await hub.replay(topic, watch.last):
        frames.append(frame(topic, cursor, payload))
        watch.last = cursor
    return frames


def _since(snapshot: topics.Snapshot, tail: Cursor) -> Cursor:
    """The earliest of the last cursor and those that the texts of unfinished runs hold."""
    cursors = [parse_cursor(run.get("cursor") or "") for run in snapshot.get("runs", ())]
    return min([tail, *(cursor for cursor in cursors if cursor is not None)], default=START)
