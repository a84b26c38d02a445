"""What no row keeps but people who run the installation ask for: how often something happened lately."""

import time
from collections.abc import Iterator

from redis.exceptions import RedisError

from lobby.live.connections import sync_redis

KEPT = 900  # seconds


def count(name: str, by: int = 1) -> None:
    """Add to this minute's number. While Redis is away nothing is counted: a figure must not stop anybody."""
    if not by:
        return
    minute = _key(_minute())
    try:
        with sync_redis().pipeline(transaction=False) as pipe:
            pipe.hincrby(minute, name, by)
            pipe.expire(minute, KEPT)
            pipe.execute()
    except RedisError:
        return


def keys_of_last(minutes: int) -> Iterator[str]:
    """The hashes of this minute and those before it, as many as `minutes` complete ones need."""
    now = _minute()
    return (_key(minute) for minute in range(now - minutes, now + 1))


def _minute() -> int:
    return int(time.time() // 60)


def _key(minute: int) -> str:
    return f"lobby:tally:{minute}"
