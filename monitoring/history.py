"""What the charts show: the snapshots of the last day or month, as columns over one axis of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self

import orjson
from django.db import connection

from monitoring.models import Snapshot
from monitoring.snapshots import COUNTERS, minute_now

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


@dataclass(frozen=True, slots=True)
class Column:
    """What the snapshots of each point add up to, and how many name it: a list for each point would be work for the
    collector of garbage, with somebody waiting."""

    sums: list[float]
    counts: list[int]

    @classmethod
    def of(cls, length: int) -> Self:
        return cls([0] * length, [0] * length)

    def shown(self, name: str, *, known: list[bool]) -> list[float | None]:
        """A counter that a snapshot does not name stood still."""
        if name.partition(":")[0] in COUNTERS:
            return [total if is_known else None for total, is_known in zip(self.sums, known, strict=True)]
        pairs = zip(self.sums, self.counts, strict=True)
        return [round(total / count, 4) if count else None for total, count in pairs]


def read(span: Span) -> History:
    source = SOURCES[span]
    step = int(source.step.total_seconds())
    until = int(minute_now().timestamp()) // step * step  # the point under way would look like a fall
    first = until - int(source.back.total_seconds()) + step
    at = list(range(first, until, step))
    known = [False] * len(at)
    columns: dict[str, Column] = {}
    for second, figures in _snapshots(source, since=first, until=until):
        place = (second - first) // step
        known[place] = True
        for name, value in figures.items():
            if (column := columns.get(name)) is None:
                column = columns[name] = Column.of(len(at))
            column.sums[place] += value
            column.counts[place] += 1
    series = {name: columns[name].shown(name, known=known) for name in sorted(columns)}
    return History(span=span, step_seconds=step, at=at, series=series)


# Added up here: in the database it takes several times as long, as JSON is taken apart into rows there.
SNAPSHOTS = """
SELECT EXTRACT(EPOCH FROM at)::bigint, figures::text FROM monitoring_snapshot
 WHERE span = %s AND at >= to_timestamp(%s) AND at < to_timestamp(%s)
"""


def _snapshots(source: Source, *, since: int, until: int) -> Iterator[tuple[int, dict[str, float]]]:
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOTS, [source.snapshots, since, until])
        for second, figures in cursor.fetchall():
            yield second, orjson.loads(figures)
