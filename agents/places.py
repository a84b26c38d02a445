"""Places in line, as they were last told (agents/queue.py tells them)."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from agents.models import Run
from agents.queue import POSITIONS
from lobby.live.connections import sync_redis

log = structlog.get_logger()


def places_told(waiting: Iterable[Run]) -> dict[UUID, int]:
    """Run's id → its place; whoever was told none yet hears it within a second."""
    ids = [run.pk for run in waiting if run.status == Run.Status.QUEUED]
    if not ids:
        return {}
    try:
        told: Any = sync_redis().hmget(POSITIONS, [str(id) for id in ids])
    except RedisError as error:
        log.warning("places_not_known", error=str(error))
        return {}
    return {id: int(place) for id, place in zip(ids, told, strict=True) if place}
