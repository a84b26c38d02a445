"""One Redis Stream per topic. An entry holds one field: the event, encoded as the browser will get it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from django.db import transaction
from redis.exceptions import RedisError

from lobby.live.connections import sync_redis

MAX_ENTRIES = 5000  # of one topic; older ones are trimmed, whoever is further behind starts from a snapshot
EXPIRY = 3600  # seconds after the last run began or the last single event
FIELD = b"e"

Cursor = tuple[int, int]
LONGEST_CURSOR = 41  # two unsigned 64-bit numbers and the dash
START: Cursor = (0, 0)


def key(topic: str) -> str:
    return f"lobby:stream:{topic}"


def encode(event: Mapping[str, Any]) -> bytes:
    return orjson.dumps(event)


def publish(topic: str, *events: Mapping[str, Any]) -> str:
    """Say events on a topic, from a thread; the cursor of the first. Never before the rows they speak of are
    committed."""
    with sync_redis().pipeline(transaction=False) as pipe:
        for event in events:
            add(pipe, topic, encode(event))
        pipe.expire(key(topic), EXPIRY)
        return str(pipe.execute()[0], "ascii")


def drop_on_commit(*topics: str) -> None:
    """Forget what was said on them, once their rows are gone for good. Without Redis it goes by itself (EXPIRY)."""

    def drop() -> None:
        with suppress(RedisError):
            sync_redis().delete(*map(key, topics))

    if topics:
        transaction.on_commit(drop)


def add(pipe: Any, topic: str, payload: bytes) -> None:
    pipe.xadd(key(topic), {FIELD: payload}, maxlen=MAX_ENTRIES, approximate=True)


def parse_cursor(text: str | bytes) -> Cursor | None:
    """`<milliseconds>-<number>` as a pair that can be compared; None if it is none."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    milliseconds, dash, number = text.partition("-")
    if not (
        dash and milliseconds.isdecimal() and number.isdecimal() and len(text) <= LONGEST_CURSOR and text.isascii()
    ):
        return None
    return int(milliseconds), int(number)


def format_cursor(cursor: Cursor) -> str:
    return f"{cursor[0]}-{cursor[1]}"
