"""Rate limits, counted in Redis so that all processes count together."""

import time
from functools import cache

from django.conf import settings
from limits import RateLimitItem
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError


@cache
def _limiter() -> MovingWindowRateLimiter:
    uri = settings.REDIS_URL.replace("unix://", "redis+unix://")
    return MovingWindowRateLimiter(RedisStorage(uri))


def hit(item: RateLimitItem, *who: str) -> int:
    """Count one; 0 if that was within the limit, else the whole seconds until the next is allowed.

    While Redis is away nothing is counted: a limit must not stop everybody.
    """
    try:
        if _limiter().hit(item, *who):
            return 0
        return max(1, round(_limiter().get_window_stats(item, *who).reset_time - time.time()))
    except RedisError:
        return 0


def clear(item: RateLimitItem, *who: str) -> None:
    """Forget what was counted."""
    try:
        _limiter().clear(item, *who)
    except RedisError:
        return
