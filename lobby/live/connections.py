from functools import cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.retry import Retry


@cache
def sync_redis() -> redis.Redis:
    """For threads: one pool per process. One retry, for a connection gone stale: a page must not wait for Redis, also
    where it hangs. No command of ours blocks."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=2,
        socket_timeout=3,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),
    )


class QuickConnection(redis.asyncio.Connection):
    """Commands written by hiredis, as redis-py does for threads only: most of what a hub's read of 100 topics cost."""

    _serializer = HiredisRespSerializer()

    def pack_command(self, *args: Any) -> list[bytes]:
        packed: list[bytes] = self._serializer.pack(*args)
        return packed


def async_redis() -> redis.asyncio.Redis:
    """For one event loop: the caller owns it and closes it. Reads may block as long as they like."""
    return redis.asyncio.Redis.from_url(
        settings.REDIS_URL,
        connection_class=QuickConnection,
        socket_connect_timeout=2,
        socket_timeout=None,
        health_check_interval=30,
        retry=AsyncRetry(NoBackoff(), 1),
    )
