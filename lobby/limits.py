"""Rate limits, counted in Redis so that all processes count together."""

import time
from functools import cache
from math import ceil

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerHour
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError

WAIT_UNKNOWN = 60  # seconds
MINUTE = 60  # seconds
PATIENCE = 3  # seconds: a Redis that hangs is as good as away


class PerHour(RateLimitItemPerHour):
    """Kept under the same name whatever the limit is: changing it forgets nothing that was counted."""

    def key_for(self, *identifiers: str | bytes | float) -> str:
        return "/".join([self.namespace, *map(str, identifiers), "hour"])


@cache
def _limiter() -> MovingWindowRateLimiter:
    uri = settings.REDIS_URL.replace("unix://", "redis+unix://")
    return MovingWindowRateLimiter(RedisStorage(uri, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE))


def hit(item: RateLimitItem, *who: str, counted: int = 0) -> int:
    """Count one; 0 if that was within the limit, else the whole seconds until the next is allowed.

    While Redis is away `counted` decides: what rows tell of the window. Where there are no such rows nothing is
    counted then: a limit must not stop everybody.
    """
    try:
        return 0 if _limiter().hit(item, *who) else _wait(item, *who)
    except RedisError:
        return 0 if counted < item.amount else WAIT_UNKNOWN


def wait(item: RateLimitItem, *who: str, counted: int = 0) -> int:
    """What `hit` would say; nothing is counted."""
    try:
        return 0 if _limiter().test(item, *who) else _wait(item, *who)
    except RedisError:
        return 0 if counted < item.amount else WAIT_UNKNOWN


def _wait(item: RateLimitItem, *who: str) -> int:
    return max(1, round(_limiter().get_window_stats(item, *who).reset_time - time.time()))


def span(seconds: int) -> str:
    """How long to wait, in words: rounded up, for whoever comes too soon is refused again."""
    if seconds < MINUTE:
        return f"{seconds} s"
    hours, minutes = divmod(ceil(seconds / MINUTE), 60)
    return " ".join(filter(None, [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]))


def clear(item: RateLimitItem, *who: str) -> None:
    """Forget what was counted."""
    try:
        _limiter().clear(item, *who)
    except RedisError:
        return
