"""What the charts show: the snapshots of the last day or month, as columns over one axis of time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import connection

from monitoring.models import Snapshot
from monitoring.snapshots import COUNTERS, MERGED, minute_now

Span = Literal["24h", "30d"]


@dataclass(frozen=True, slots=True)
class Source:
    back: timedelta
    snapshots: Snapshot.Span
    step: timedelta  # how wide a point is


SOURCES: dict[Span, Source] = {
    "24h": Source(timedelta(hours=24), Snapshot.Span.MINUTE, timedelta(minutes=5)),
    "30d": Source(timedelta(days=30), Snapshot.Span.HOUR, timedelta(hours=2)),
}


@dataclass(frozen=True, slots=True)
class History:
    """`series[name][i]` is of the `step_seconds` from `at[i]` (seconds since 1970) on: a counter's sum, a gauge's mean,
    None where nothing is known."""

    span: Span
    step_seconds: int
    at: list[int]
    series: dict[str, list[float | None]]


def read(span: Span) -> History:
    source = SOURCES[span]
    step = int(source.step.total_seconds())
    until = minute_now()
    first = int((until - source.back).timestamp()) // step * step + step
    at = list(range(first, int(until.timestamp()), step))
    found = _merged(source, since=datetime.fromtimestamp(first, tz=until.tzinfo), until=until)
    names = sorted({name for figures in found.values() for name in figures})
    series = {name: [_value(found.get(second), name) for second in at] for name in names}
    return History(span=span, step_seconds=step, at=at, series=series)


def _merged(source: Source, *, since: datetime, until: datetime) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    asked: list[Any] = [source.step.total_seconds(), list(COUNTERS), source.snapshots, since, until]
    with connection.cursor() as cursor:
        cursor.execute(MERGED, asked)
        for at, name, value in cursor.fetchall():
            found.setdefault(int(at.timestamp()), {})[name] = value
    return found


def _value(figures: dict[str, float] | None, name: str) -> float | None:
    """A counter that a snapshot does not name stood still."""
    if figures is None:
        return None
    is_counter = name.partition(":")[0] in COUNTERS
    value = figures.get(name, 0.0 if is_counter else None)
    return None if value is None else round(value, 4)
