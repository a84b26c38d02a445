"""Celery's side: doorbells for the next step of a debate. A lost or repeated one does no harm."""

from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from celery import shared_task
from django.db import transaction
from redis.exceptions import RedisError

from lobby.live.connections import sync_redis

if TYPE_CHECKING:
    from debates.models import Round

log = structlog.get_logger()

BARRIER_SECONDS = 10  # a doorbell that was lost is made good by the sweep before that


@shared_task
def advance(debate_id: str) -> None:
    from debates import rounds

    rounds.advance(UUID(debate_id))


@shared_task
def sweep() -> None:
    """Debates whose doorbell was lost go on; those past their time end."""
    from debates import rounds

    rounds.sweep()


def ring(debate_id: UUID) -> None:
    """Have the debate's next step taken, once what was written is committed."""
    transaction.on_commit(partial(_ring, debate_id))


def ring_at_barrier(round: "Round") -> None:
    """Whoever of a step ends last rings; while others are at it, nobody need come."""
    transaction.on_commit(partial(_ring_if_down, round))


def _ring_if_down(round: "Round") -> None:
    from debates.steps import is_waiting

    if not is_waiting(round) and _is_first(round):
        _ring(round.debate_id)


def _is_first(round: "Round") -> bool:
    """Of those who end together, each finds the barrier down: one ring is enough, more would only be in its way."""
    barrier = f"lobby:barrier:{round.pk}:{round.debate.conclusion or round.step}"
    try:
        return bool(sync_redis().set(barrier, 1, nx=True, ex=BARRIER_SECONDS))
    except RedisError:
        return True


def _ring(debate_id: UUID) -> None:
    try:
        advance.delay(str(debate_id))
    except advance.OperationalError as error:  # the sweep finds it
        log.warning("debate_not_rung", debate=str(debate_id), error=str(error))
