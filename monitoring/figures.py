"""How the installation is right now: gauges and short windows, read from the database and Redis.

Names as Prometheus has them, without `lobby_` before them (monitoring/metrics.py tells each with help and unit). Every
query reads a partial index or a short range of one, so that a million old runs cost nothing.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.db import connection
from redis.exceptions import RedisError

from agents.breaker import KEY as BREAKERS
from agents.breaker import Gates, State, gates_of
from agents.models import Host, Run
from lobby.live import reports, tally
from lobby.live.connections import sync_redis
from monitoring.beats import LAST_BEAT, silence

CLOSED, HALF_OPEN, OPEN = 0, 1, 2  # a breaker's state as a number
ANY_HOST = "any"  # a queued run that no host is named for


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def collect() -> list[Sample]:
    """All figures of now. Without Redis those it alone knows are missing. Raises django.db.Error."""
    hosts = list(Host.objects.filter(is_enabled=True))
    return [
        *_of_line(),
        *_of_hosts(hosts),
        *_of_ended_runs(),
        *_of_first_tokens(),
        *_of_debates(),
        *_of_database(),
        *_of_redis(hosts),
        Sample("disk_free_ratio", _disk_free()),
    ]


UNFINISHED = """
SELECT COALESCE(h.name, %s), r.status, count(*), COALESCE(EXTRACT(EPOCH FROM now() - min(r.queued_at)), 0)
  FROM (SELECT status, wanted_host_id AS host_id, queued_at FROM agents_run WHERE status = 'queued'
        UNION ALL
        SELECT status, host_id, NULL FROM agents_run WHERE status = 'running') r
  LEFT JOIN agents_host h ON h.id = r.host_id
 GROUP BY 1, 2
"""


def _of_line() -> Iterator[Sample]:
    oldest = 0.0
    for host, status, number, age in _rows(UNFINISHED, ANY_HOST):
        if status == Run.Status.QUEUED:
            yield Sample("queue_runs", number, {"host": host})
            oldest = max(oldest, float(age))
        else:
            yield Sample("runs_running", number, {"host": host})
    yield Sample("queue_oldest_seconds", oldest)


def _of_hosts(hosts: Iterable[Host]) -> Iterator[Sample]:
    for host in hosts:
        labels = {"host": host.name}
        yield Sample("host_slots", host.max_parallel, labels)
        if host.state != Host.State.UNKNOWN:
            yield Sample("host_up", float(host.state == Host.State.UP), labels)


ENDED = """
SELECT status, error_kind, count(*),
       count(*) FILTER (WHERE finished_at > now() - interval '1 minute'),
       COALESCE(sum(output_tokens) FILTER (WHERE finished_at > now() - interval '1 minute'), 0)
  FROM agents_run WHERE finished_at > now() - interval '5 minutes'
 GROUP BY 1, 2
"""
ENDINGS = (Run.Status.DONE, Run.Status.FAILED, Run.Status.CANCELLED, Run.Status.INTERRUPTED)
FAILURES = (Run.Status.FAILED, Run.Status.INTERRUPTED)


def _of_ended_runs() -> Iterator[Sample]:
    ended, lately = Counter[str](), Counter(dict.fromkeys(ENDINGS, 0))
    kinds, tokens = Counter[str](), 0
    for status, kind, number, last_minute, written in _rows(ENDED):
        ended[status] += number
        lately[status] += last_minute
        tokens += written
        if status in FAILURES:
            kinds[kind or "unknown"] += number
    failed = sum(ended[status] for status in FAILURES)
    judged = failed + ended[Run.Status.DONE]  # who stops a reply says nothing of its host
    yield from (Sample("runs_finished", number, {"status": str(status)}) for status, number in lately.items())
    yield from (Sample("run_failures", number, {"kind": kind}) for kind, number in kinds.items())
    yield Sample("failure_ratio", failed / judged if judged else 0.0)
    yield Sample("tokens_per_second", tokens / 60)


FIRST_TOKENS = """
SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY EXTRACT(EPOCH FROM first_token_at - queued_at))
  FROM agents_run WHERE finished_at > now() - interval '5 minutes' AND first_token_at IS NOT NULL
"""


def _of_first_tokens() -> Iterator[Sample]:
    """Seconds from the question on, waiting in line included; none where nothing was answered."""
    ((found,),) = _rows(FIRST_TOKENS)
    for quantile, seconds in zip(("0.5", "0.95"), found or (), strict=False):
        yield Sample("first_token_seconds", float(seconds), {"quantile": quantile})


DEBATES = """
SELECT 'running', '', count(*) FROM debates_debate WHERE status = 'running'
 UNION ALL
SELECT 'ended', COALESCE(verdict->>'label', 'none'), count(*)
  FROM debates_debate WHERE ended_at > now() - interval '24 hours' GROUP BY 2
"""


def _of_debates() -> Iterator[Sample]:
    for what, label, number in _rows(DEBATES):
        if what == "running":
            yield Sample("debates_running", number)
        else:
            yield Sample("debates_ended", number, {"label": label})


DATABASE = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
       pg_database_size(current_database()), count(*),
       COALESCE(EXTRACT(EPOCH FROM now() - min(seen_at)), 0)
  FROM agents_worker
"""


def _of_database() -> Iterator[Sample]:
    ((connections, size, workers, silent),) = _rows(DATABASE)
    yield Sample("database_connections", connections)
    yield Sample("database_bytes", size)
    yield Sample("workers", workers)
    yield Sample("worker_oldest_seconds", float(silent))


TALLIES = ["runs_reaped", "limits_hit"]


def _of_redis(hosts: Iterable[Host]) -> Iterator[Sample]:
    try:
        with sync_redis().pipeline(transaction=False) as pipe:
            pipe.info("memory")
            pipe.hgetall(BREAKERS)
            pipe.pttl(LAST_BEAT)
            pipe.smembers(reports.PROCESSES)
            for key in tally.keys_of_last(5):
                pipe.hmget(key, TALLIES)
            memory, breakers, beat, processes, *tallies = pipe.execute()
        told = _told_by(processes)
    except RedisError:
        return
    yield Sample("redis_bytes", memory["used_memory"])
    yield Sample("beat_silent_seconds", silence(beat))
    yield Sample("ws_connections", sum(report["connections"] for report in told))
    requests = sum(report.get("requests", 0.0) for report in told)
    yield Sample("requests_per_second", requests)
    if requests:
        yield Sample("request_seconds", sum(report.get("request_seconds", 0.0) for report in told) / requests)
    for name, minutes in zip(TALLIES, zip(*tallies, strict=True), strict=True):
        yield Sample(name, sum(int(number or 0) for number in minutes))
    gates = gates_of(breakers)
    for host in hosts:
        state = gates.states.get(str(host.pk), State())
        yield Sample("host_breaker_state", breaker_state(state, gates), {"host": host.name})


def _told_by(processes: set[bytes]) -> list[reports.Report]:
    if not processes:
        return []
    client = sync_redis()
    keys = sorted(processes)
    raw: Any = client.mget(keys)
    if gone := [key for key, report in zip(keys, raw, strict=True) if report is None]:
        client.srem(reports.PROCESSES, *gone)
    return [orjson.loads(report) for report in raw if report is not None]


def breaker_state(state: State, gates: Gates) -> int:
    if not state.open_until:
        return CLOSED
    return OPEN if state.is_open(gates.now) else HALF_OPEN


def _disk_free() -> float:
    usage = shutil.disk_usage(settings.LOBBY_HOME if settings.LOBBY_HOME.exists() else "/")
    return usage.free / usage.total


def _rows(query: str, *parameters: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
