from functools import cache

import redis
import redis.asyncio
from django.conf import settings


@cache
def sync_redis() -> redis.Redis:
    """For threads: one pool per process."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, health_check_interval=30)


def async_redis() -> redis.asyncio.Redis:
    """For one event loop: the caller owns it and closes it. Reads may block as long as they like."""
    return redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=None, health_check_interval=30
    )
