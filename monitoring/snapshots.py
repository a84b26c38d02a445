"""The figures of each minute, kept for the charts, and thinned as they age: minutes, then hours, then days.

A name's label follows a colon, `runs_finished:done`. Counters come from the rows of the minute itself, so a minute that
nobody took is made up for later; gauges are known only at the time and are missing then.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from monitoring.figures import FAILURES, Sample, collect
from monitoring.models import Snapshot

MINUTE = timedelta(minutes=1)
KEPT = {
    Snapshot.Span.MINUTE: timedelta(hours=25),
    Snapshot.Span.HOUR: timedelta(days=31),
    Snapshot.Span.DAY: timedelta(days=730),
}
MADE_UP_FOR = timedelta(hours=24)  # minutes that were missed, at most

GAUGES = frozenset(
    {
        *("queue_runs", "queue_oldest_seconds", "runs_running", "host_up", "host_breaker_state", "workers"),
        *("debates_running", "database_connections", "database_bytes", "redis_bytes", "disk_free_ratio"),
        *("ws_connections", "requests_per_second", "request_seconds"),
    }
)
TOTALS = ("queue_runs", "runs_running")  # also kept over all hosts, as charts show them
COUNTERS = ("runs_asked", "runs_finished", "run_failures", "tokens_written", "tokens_read", "debates_ended")

Figures = dict[str, float]


def take(end: datetime) -> int:
    """Keep the minute before `end`, and those before it that were missed; how many. Twice does no harm."""
    with transaction.atomic():
        begin = _first_missing(end)
        counted = count(begin, end)
        counted[end - MINUTE] |= gauges(collect())
        minutes = [begin + MINUTE * number for number in range((end - begin) // MINUTE)]
        rows = [Snapshot(span=Snapshot.Span.MINUTE, at=at, figures=counted[at]) for at in minutes]
        Snapshot.objects.bulk_create(rows, ignore_conflicts=True)
        return len(rows)


def minute_now() -> datetime:
    """The database's."""
    ((now,),) = _rows("SELECT date_trunc('minute', now())", [])
    return now  # type: ignore[no-any-return]


def _first_missing(end: datetime) -> datetime:
    last = Snapshot.objects.filter(span=Snapshot.Span.MINUTE).order_by("-at").values_list("at", flat=True).first()
    if last is None:
        return end - MINUTE
    return min(max(last + MINUTE, end - MADE_UP_FOR), end - MINUTE)


def gauges(samples: Iterable[Sample]) -> Figures:
    found: defaultdict[str, float] = defaultdict(float, dict.fromkeys(TOTALS, 0.0))
    for sample in samples:
        if sample.name not in GAUGES:
            continue
        if sample.name in TOTALS or not sample.labels:
            found[sample.name] += sample.value
        if sample.labels:
            found[":".join([sample.name, *sample.labels.values()])] = sample.value
    return dict(found)


ENDED = """
SELECT date_trunc('minute', finished_at), status, error_kind, count(*),
       COALESCE(sum(output_tokens), 0), COALESCE(sum(prompt_tokens), 0)
  FROM agents_run WHERE finished_at >= %s AND finished_at < %s GROUP BY 1, 2, 3
"""
FIRST_TOKENS = """
SELECT date_trunc('minute', finished_at),
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY EXTRACT(EPOCH FROM first_token_at - queued_at))
  FROM agents_run WHERE finished_at >= %s AND finished_at < %s AND first_token_at IS NOT NULL GROUP BY 1
"""
ASKED = """
SELECT date_trunc('minute', queued_at), count(*)
  FROM agents_run WHERE queued_at >= %s AND queued_at < %s GROUP BY 1
"""
DEBATES = """
SELECT date_trunc('minute', ended_at), COALESCE(verdict->>'label', 'none'), count(*)
  FROM debates_debate WHERE ended_at >= %s AND ended_at < %s GROUP BY 1, 2
"""


def count(begin: datetime, end: datetime) -> defaultdict[datetime, Figures]:
    """The counters of each minute from `begin` to before `end`, and how long first tokens took."""
    found: defaultdict[datetime, Figures] = defaultdict(lambda: defaultdict(float))
    for at, status, kind, number, written, read in _rows(ENDED, [begin, end]):
        figures = found[at]
        figures[f"runs_finished:{status}"] += number
        figures["tokens_written"] += written
        figures["tokens_read"] += read
        if status in FAILURES:
            figures[f"run_failures:{kind or 'unknown'}"] += number
    for at, (median, p95) in _rows(FIRST_TOKENS, [begin, end]):
        found[at] |= {"first_token_seconds:0.5": float(median), "first_token_seconds:0.95": float(p95)}
    for at, number in _rows(ASKED, [begin, end]):
        found[at]["runs_asked"] = number
    for at, label, number in _rows(DEBATES, [begin, end]):
        found[at][f"debates_ended:{label}"] = number
    return found


# Counters are added up; gauges, and the quantiles of the minutes, are averaged.
MERGED = """
SELECT date_bin(make_interval(secs => %s), at, '2000-01-01Z') AS bin, key,
       CASE WHEN split_part(key, ':', 1) = ANY(%s) THEN sum(value::float8) ELSE avg(value::float8) END AS value
  FROM monitoring_snapshot, jsonb_each_text(figures)
 WHERE span = %s AND at >= %s AND at < %s GROUP BY 1, 2
"""
THIN = f"""
INSERT INTO monitoring_snapshot (span, at, figures)
SELECT %s, bin, jsonb_object_agg(key, value) FROM ({MERGED}) merged GROUP BY bin
ON CONFLICT DO NOTHING
"""  # noqa: S608  (constants)


def thin(now: datetime) -> None:
    """Make hours of minutes and days of hours where they are complete, and delete what is too old."""
    hour = now.replace(minute=0)
    with transaction.atomic():
        _merge(Snapshot.Span.MINUTE, Snapshot.Span.HOUR, timedelta(hours=1), until=hour)
        _merge(Snapshot.Span.HOUR, Snapshot.Span.DAY, timedelta(days=1), until=hour.replace(hour=0))
        for span, kept in KEPT.items():
            Snapshot.objects.filter(span=span, at__lt=now - kept).delete()


def _merge(finer: Snapshot.Span, coarser: Snapshot.Span, width: timedelta, *, until: datetime) -> None:
    """Whole stretches of `width` since the last one there is. The first may have begun before we did."""
    last = Snapshot.objects.filter(span=coarser).order_by("-at").values_list("at", flat=True).first()
    since = last + width if last else until - KEPT[finer]
    with connection.cursor() as cursor:
        cursor.execute(THIN, [coarser, width.total_seconds(), list(COUNTERS), finer, since, until])


def _rows(query: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
