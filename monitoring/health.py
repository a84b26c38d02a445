"""Is everything there that an answer needs?"""

from collections.abc import Callable
from datetime import timedelta

from django.db import Error, connection
from django.db.models.functions import Now
from redis.exceptions import RedisError

from agents.models import Host, Worker
from lobby.live.connections import sync_redis

WORKER_SILENCE = timedelta(seconds=15)  # the reaper takes a worker for dead after as long


def checks() -> dict[str, bool]:
    return {name: _holds(check) for name, check in CHECKS.items()}


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (Error, RedisError):
        return False


def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _redis_answers() -> bool:
    return bool(sync_redis().ping())


def _worker_is_seen() -> bool:
    return Worker.objects.filter(seen_at__gt=Now() - WORKER_SILENCE).exists()


def _host_is_up() -> bool:
    return Host.objects.enabled().filter(state=Host.State.UP).exists()


CHECKS = {
    "database": _database_answers,
    "redis": _redis_answers,
    "worker": _worker_is_seen,
    "host": _host_is_up,
}
