"""Can questions be answered? Told within three seconds, whatever hangs: balancers and orchestrators ask over and over.

What hangs is asked once: who comes meanwhile shares that answer, so that probes pile up neither threads nor
connections. Reasons are for everybody to read and name no machine.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from threading import Lock

import redis
from django.apps import apps
from django.conf import settings
from django.db import Error, ProgrammingError, connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from agents.models import Host, Worker
from agents.ollama import Client, OllamaError
from lobby import aside

DEADLINE = 2.0  # seconds for all checks together
LATE = f"No answer within {DEADLINE:g} s."
ASKING = 1.2  # seconds for hosts that were not asked lately
WORKER_SILENCE = timedelta(seconds=15)  # the reaper takes a worker for dead after as long
PROBE_SILENCE = timedelta(seconds=60)  # hosts are asked every 15 s, by whom beat rings for


class Unwell(Exception):
    """What is missing, in words."""


@dataclass(frozen=True, slots=True)
class Found:
    is_well: bool
    ms: float
    reason: str = ""


Check = Callable[[], None]


class Line:
    """Checks made one after the other in a thread of their own; where the first fails, the others are not known."""

    def __init__(self, *, unknown: str = "", **checks: Check) -> None:
        self._checks = checks
        self._unknown = unknown
        self._lock = Lock()
        self._found: dict[str, Found] = {}
        self._round: Future[None] | None = None

    def begin(self) -> Callable[[float], dict[str, Found]]:
        """Ask, or join who asks just now. The answer is called with the seconds that there are left to wait."""
        with self._lock:
            if self._round is None or self._round.done():
                self._found = {}
                self._round = aside.begin(partial(self._ask, self._found))
            return partial(self._wait, self._round, self._found)

    def _ask(self, found: dict[str, Found]) -> None:
        first = next(iter(self._checks))
        try:
            for name, check in self._checks.items():
                found[name] = _timed(check)
                if name == first and not found[name].is_well:
                    break
        finally:
            connection.close()  # gives it back to the pool

    def _wait(self, asked: Future[None], found: Mapping[str, Found], seconds: float) -> dict[str, Found]:
        began = time.perf_counter()
        try:
            aside.wait_for(asked, seconds=seconds)
        except aside.Late:
            words = LATE
        else:
            words = self._unknown
        missing = Found(is_well=False, ms=_ms_since(began), reason=words)
        return {name: found.get(name, missing) for name in self._checks}


def ready() -> dict[str, Found]:
    """Every check, by name."""
    deadline = time.monotonic() + DEADLINE
    answers = [line.begin() for line in LINES]
    return {name: found for answer in answers for name, found in answer(deadline - time.monotonic()).items()}


def _timed(check: Check) -> Found:
    began = time.perf_counter()
    reason = ""
    try:
        check()
    except Unwell as missing:
        reason = str(missing)
    except ProgrammingError:
        reason = "The database lacks tables. Run `python manage.py first_run`."
    except Error:
        reason = "PostgreSQL can't be reached."
    except RedisTimeoutError:
        reason = LATE
    except RedisError:
        reason = "Redis can't be reached."
    return Found(is_well=not reason, ms=_ms_since(began), reason=reason)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _database_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_migrations() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        missing = migrations_on_disk() - set(cursor.fetchall())
    if missing:
        raise Unwell(f"Migrations that are not applied: {len(missing)}. Run `python manage.py first_run`.")


@cache
def migrations_on_disk() -> frozenset[tuple[str, str]]:
    """App and name of each, by the names of the files: importing them all would cost the web process memory."""
    folders = ((app.label, Path(app.path) / "migrations") for app in apps.get_app_configs())
    return frozenset((label, file.stem) for label, folder in folders for file in folder.glob("[0-9]*.py"))


def _worker_is_seen() -> None:
    if not Worker.objects.filter(seen_at__gt=Now() - WORKER_SILENCE).exists():
        raise Unwell(f"No worker was seen in the last {WORKER_SILENCE.seconds} s.")


def hosts_in_use() -> list[str]:
    """The addresses of the hosts that take something new."""
    return list(_hosts().values_list("base_url", flat=True))


def _hosts() -> QuerySet[Host]:
    return Host.objects.enabled().filter(is_draining=False)


def _host_answers() -> None:
    lately, hosts = Q(probed_at__gt=Now() - PROBE_SILENCE), _hosts()
    if hosts.filter(lately, state=Host.State.UP).exists():
        return
    addresses = hosts_in_use()
    not_asked = list(hosts.exclude(lately).values_list("base_url", flat=True))
    connection.close()  # not held while somebody else is waited for
    if not addresses:
        raise Unwell("No model host is switched on.")
    if not any_answers(not_asked):
        raise Unwell(f"No model host answers, of {len(addresses)}.")


def any_answers(addresses: Iterable[str]) -> bool:
    """Whether one of them is an Ollama, asked all at once."""
    return asyncio.run(_any_answers(list(addresses)))


async def _any_answers(addresses: list[str]) -> bool:
    asked = [asyncio.create_task(_answers(address)) for address in addresses]
    try:
        for each in asyncio.as_completed(asked, timeout=ASKING):
            if await each:
                return True
    except TimeoutError:
        return False
    else:
        return False
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _answers(address: str) -> bool:
    try:
        async with Client(address) as client:
            return bool(await client.version())
    except OllamaError:
        return False


@cache
def _redis() -> redis.Redis:
    """Not the others' client, whose reads may take as long as they like."""
    once = Retry(NoBackoff(), 1)
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=DEADLINE, socket_timeout=DEADLINE, retry=once
    )


def _redis_answers() -> None:
    _redis().ping()


LINES = (
    Line(
        database=_database_answers,
        migrations=check_migrations,
        worker=_worker_is_seen,
        host=_host_answers,
        unknown="Not known while PostgreSQL does not answer.",
    ),
    Line(redis=_redis_answers),
)
