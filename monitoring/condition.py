"""How well each part is, in figures with words: the deep report for admins, and most of `lobby doctor`.

The parts are looked at side by side, each with a deadline: one that hangs is told as hanging and holds up no other.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error, connection
from redis.exceptions import RedisError

from agents.models import Host
from lobby import aside
from lobby.findings import Finding, State, graded
from lobby.live.connections import sync_redis
from monitoring.baseline import compare
from monitoring.beats import LAST_BEAT, REMEMBERED, silence

DEADLINE = 2.5  # seconds for all of it

Part = Callable[[], Iterable[Finding]]


def look(parts: dict[str, Part] | None = None) -> list[Finding]:
    """All findings, the parts in their order."""
    deadline = time.monotonic() + DEADLINE
    asked = {name: aside.begin(partial(_ask, part)) for name, part in (parts or PARTS).items()}
    return [finding for name, future in asked.items() for finding in _told(name, future, deadline=deadline)]


def _ask(part: Part) -> list[Finding]:
    try:
        return list(part())
    finally:
        connection.close()


def _told(name: str, future: Future[list[Finding]], *, deadline: float) -> Sequence[Finding]:
    try:
        return aside.wait_for(future, seconds=deadline - time.monotonic())
    except aside.Late:
        return [Finding(name, "fail", f"no answer within {DEADLINE:g} s", "It hangs: look at its machine and its log.")]
    except (Error, RedisError) as error:
        words = " ".join(str(error).split())[:300]
        return [
            Finding(name, "fail", f"not reached: {words}", "Start it, or correct its address (docs/configuration.md).")
        ]


def disk() -> Iterator[Finding]:
    folder = settings.LOBBY_HOME if settings.LOBBY_HOME.exists() else "/"
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    words = f"{share:.0%} free ({usage.free / 2**30:,.1f} GiB) where the lobby's data is"
    advice = "Make room: old backups, models that nobody uses, or a larger disk."
    yield Finding("disk", graded(share, warn=0.1, fail=0.03), words, advice)


def machine() -> Iterator[Finding]:
    import psutil  # noqa: PLC0415  (for who asks, not for every web process)

    memory = psutil.virtual_memory()
    share = memory.available / memory.total
    own = psutil.Process().memory_info().rss / 2**20
    words = f"{share:.0%} of {memory.total / 2**30:,.1f} GiB available; this process has {own:,.0f} MiB"
    yield Finding("memory", graded(share, warn=0.1, fail=0.03), words, "Stop what else runs here, or add memory.")
    cores = os.cpu_count() or 1
    load = os.getloadavg()[1]
    words = f"{load:.1f} processes want one of {cores} processors (mean of 5 min)"
    yield Finding(
        "processors", "warn" if load > 2 * cores else "ok", words, "More work than it can do: see what runs here."
    )


CONNECTIONS = """
SELECT count(*) FILTER (WHERE backend_type = 'client backend'), current_setting('max_connections')::int,
       COALESCE(max(EXTRACT(EPOCH FROM clock_timestamp() - xact_start))
                FILTER (WHERE datname = current_database() AND pid <> pg_backend_pid()
                        AND backend_type = 'client backend'), 0)
  FROM pg_stat_activity
"""
WAITING = """
SELECT COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(queued_at)), 0) FROM agents_run WHERE status = 'queued'
"""


def database() -> Iterator[Finding]:
    ((used, most, oldest),) = _rows(CONNECTIONS)
    words = f"{used} of {most} connections"
    yield Finding(
        "database", graded(used / most, warn=0.8, fail=0.95), words, "Raise max_connections, or run fewer processes."
    )
    yield from _pool()
    words = f"the oldest is {oldest:,.0f} s old" if oldest else "none is open"
    advice = "Something holds it open, and PostgreSQL can't clean up: pg_stat_activity says who."
    yield Finding("transactions", graded(float(oldest), warn=60, fail=600), words, advice)
    yield _clock("database clock", lambda: float(_rows("SELECT EXTRACT(EPOCH FROM clock_timestamp())")[0][0]))
    ((waiting,),) = _rows(WAITING)
    words = f"the oldest run waits for {waiting:,.0f} s" if waiting else "nothing waits"
    advice = "More is asked than the hosts can take: add a host, or raise what one takes at once."
    yield Finding("queue", graded(float(waiting), warn=60, fail=600), words, advice)


def _pool() -> Iterator[Finding]:
    """Of this web process; others have none."""
    pool: Any = getattr(connection, "pool", None)
    if pool is None:
        return
    stats = pool.get_stats()
    most, used = stats["pool_max"], stats["pool_size"] - stats["pool_available"]
    waiting = stats.get("requests_waiting", 0)
    line = "1 request waits" if waiting == 1 else f"{waiting} requests wait"
    words = f"{used} of {most} connections of this web process in use, {line} for one"
    yield Finding("pool", "warn" if waiting else "ok", words, "Raise DATABASE_POOL, or start more web processes.")


WORKERS = "SELECT count(*), COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(seen_at)), 0) FROM agents_worker"


def workers() -> Iterator[Finding]:
    ((number, silent),) = _rows(WORKERS)
    advice = "Start a worker (docs/operating.md); its log tells why it ended."
    if not number:
        yield Finding("workers", "fail", "there is none: nothing is answered", advice)
        return
    words = f"{number}, of which the quietest was seen {silent:,.0f} s ago"
    yield Finding("workers", graded(float(silent), warn=15, fail=30), words, advice)


def redis() -> Iterator[Finding]:
    client = sync_redis()
    memory: Any = client.info("memory")
    used, most, policy = memory["used_memory"], memory["maxmemory"], memory["maxmemory_policy"]
    bound = f"of {most / 2**20:,.0f} MiB" if most else "used, without a bound"
    words = f"{used / 2**20:,.0f} MiB {bound}, policy {policy}"
    state: State = graded(used / most, warn=0.8, fail=0.95) if most else "ok"
    if most and policy != "noeviction":
        state = "warn" if state == "ok" else state
    yield Finding(
        "redis", state, words, "Give it more memory, and maxmemory-policy noeviction: it must drop no doorbell."
    )
    yield _clock("redis clock", lambda: _redis_time(client.time()))
    silent = silence(client.pttl(LAST_BEAT))  # type: ignore[arg-type]
    advice = "Start beat, of which there has to be exactly one (docs/operating.md)."
    words = f"last rang {silent:,.0f} s ago" if silent < REMEMBERED else "has not rung for a day, or never did"
    yield Finding("beat", graded(silent, warn=30, fail=60), words, advice)


def _redis_time(told: Any) -> float:
    seconds, microseconds = told
    return float(seconds + microseconds / 1e6)


def _clock(name: str, ask: Callable[[], float]) -> Finding:
    """Against ours while the question was asked: an answer that was long under way tells of no wrong clock."""
    before = time.time()
    theirs = ask()
    skew = theirs - min(max(theirs, before), time.time())
    words = f"{abs(skew) * 1000:,.0f} ms {'ahead of' if skew > 0 else 'behind'} ours"
    advice = "Have both machines set their clocks by the network (NTP): sign-in links and limits go by them."
    return Finding(name, graded(abs(skew), warn=1, fail=5), words, advice)


def hosts() -> Iterator[Finding]:
    found = list(Host.objects.enabled())
    if not found:
        yield Finding("hosts", "fail", "no model host is switched on", "Add one under Admin → Hosts.")
    for host in found:
        name = host.name if host.name.lower().startswith("host") else f"host {host.name}"
        models = ", ".join(host.model_names[:5])
        if host.state == Host.State.DOWN:
            advice = "Start its Ollama, or switch the host off under Admin → Hosts."
            yield Finding(name, "fail", f"down: {host.state_reason}", advice)
        elif host.state == Host.State.UNKNOWN:
            yield Finding(name, "warn", "not asked yet", "A worker asks it every 15 s, rung for by beat.")
        elif not models:
            yield Finding(name, "warn", "up, but has no model", "Pull one: Admin → Hosts, or `ollama pull`.")
        else:
            more = len(host.model_names) - 5
            words = f"up, {host.latency_ms or 0:,.0f} ms, has {models}{f' and {more} more' if more > 0 else ''}"
            yield Finding(name, "ok", words)


def speed() -> Iterator[Finding]:
    """Slow degradation: what nobody notices from one day to the next."""
    for name, words, factor in compare():
        state: State = graded(factor, warn=1.5, fail=4)
        yield Finding(name, state, words, "It got slower: other load on the hosts, a larger model, a fuller context?")


def _rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


PARTS: dict[str, Part] = {
    "disk": disk,
    "machine": machine,
    "database": database,
    "workers": workers,
    "redis": redis,
    "hosts": hosts,
    "speed": speed,
}
