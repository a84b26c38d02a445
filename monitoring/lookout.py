"""Notices what beat and the workers can't say: that they themselves are gone, or Redis, by which they are rung for.

A thread of each web process looks whether alerts are still evaluated; where nobody did for a while, it does, and sends
what is to be sent. Of several web processes one takes the turn. Where no web process runs either, `/health/ready` does
not answer: that has to be watched from outside.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import structlog
from django.db import Error, connection

from monitoring import alerts, notices, turns

log = structlog.get_logger()

EVERY = 15.0  # seconds
SILENCE = timedelta(seconds=45)  # of whom beat rings for every 15 s

Application = Callable[[Any, Any, Any], Awaitable[None]]


def from_startup(lifespan: Application) -> Application:
    """ASGI: keeps a look-out as long as the server runs. A server without lifespan (Daphne) has none."""

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        Thread(target=_look_for_ever, name="lookout", daemon=True).start()
        await lifespan(scope, receive, send)

    return watched


def look() -> bool:
    """Whether it was our turn."""
    try:
        if not turns.is_overdue(alerts.TURN, after=SILENCE) or not alerts.watch("lookout"):
            return False
        log.warning("alerts_evaluated_by_web", reason="nobody did for 45 s: do beat and a worker run, and Redis?")
        notices.send_due()
    except Error as error:
        log.warning("alerts_not_evaluated", error=str(error))
        return False
    finally:
        connection.close()
    return True


def _look_for_ever() -> None:
    while True:
        time.sleep(EVERY)
        look()
