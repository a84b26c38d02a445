"""When the beat last sent something: a key of which only the age is of interest, so clocks need not agree."""

from typing import Any

from celery.signals import after_task_publish, beat_init
from redis.exceptions import RedisError

from lobby.live.connections import sync_redis

LAST_BEAT = "lobby:beat"
REMEMBERED = 86_400  # seconds; longer silence is told as that


@beat_init.connect
def listen(**_: Any) -> None:
    """In the beat's process alone, whatever it sends is a sign of life."""
    after_task_publish.connect(mark, weak=False)


def mark(**_: Any) -> None:
    try:
        sync_redis().set(LAST_BEAT, 1, ex=REMEMBERED)
    except RedisError:
        return  # what it sent is lost as well


def silence(milliseconds_left: int) -> float:
    """Seconds since the last beat, from what PTTL says of the key."""
    return REMEMBERED - max(0, milliseconds_left) / 1000
