"""What a web process alone knows (its sockets, its requests), told to Redis so that all processes can be added up.

A process tells it every few seconds under a key that expires: who dies is forgotten.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from uuid import uuid4

import orjson
import redis.asyncio
import structlog
from redis.exceptions import RedisError

from lobby.live.connections import async_redis
from lobby.live.hub import hub

log = structlog.get_logger()

PROCESSES = "lobby:web"  # a set of keys, one of each process
EVERY = 3.0  # seconds
EXPIRY = 12  # seconds
WINDOW = 5  # reports over which a rate is taken

Report = dict[str, float]

# Numbers that only grow, by name; told as what came per second. monitoring adds its own in AppConfig.ready.
COUNTERS: dict[str, Callable[[], float]] = {}


class Rates:
    """What counters grew by per second, over the last few looks at them."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Report]] = deque(maxlen=WINDOW + 1)

    def look(self, *, now: float, counted: Mapping[str, float]) -> Report:
        self._looks.append((now, dict(counted)))
        began, before = self._looks[0]
        seconds = now - began
        return {
            name: (number - before.get(name, 0.0)) / seconds if seconds else 0.0 for name, number in counted.items()
        }


async def tell_for_ever(client: redis.asyncio.Redis, *, key: str) -> None:
    rates = Rates()
    while True:
        counted = {name: read() for name, read in COUNTERS.items()}
        report = rates.look(now=time.monotonic(), counted=counted) | {"connections": float(hub().readers)}
        try:
            await _tell(client, key, report)
        except RedisError as error:
            log.warning("figures_not_told", error=str(error))
        await asyncio.sleep(EVERY)


async def _tell(client: redis.asyncio.Redis, key: str, report: Report) -> None:
    async with client.pipeline(transaction=False) as pipe:
        pipe.set(key, orjson.dumps(report), ex=EXPIRY)
        pipe.sadd(PROCESSES, key)
        await pipe.execute()


async def lifespan(scope: object, receive: Callable, send: Callable) -> None:  # type: ignore[type-arg]
    """ASGI: tells from start-up to shutdown. A server without lifespan (Daphne) tells nothing."""
    await receive()
    client, key = async_redis(), f"{PROCESSES}:{uuid4()}"
    task = asyncio.create_task(tell_for_ever(client, key=key))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await _forget(client, key)
    await client.aclose()
    await send({"type": "lifespan.shutdown.complete"})


async def _forget(client: redis.asyncio.Redis, key: str) -> None:
    try:
        await client.delete(key)
        await client.srem(PROCESSES, key)  # type: ignore[misc]
    except RedisError:
        return  # it expires
