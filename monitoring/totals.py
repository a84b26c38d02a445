"""Counters that only grow, whichever rows are deleted, and that are exact at every look.

What happened before a moment, the seal, is kept as totals; what happened since is counted in its rows, over an index. A
row that goes, or is taken back, before it is sealed leaves what the counters need of it (`Departed`; triggers of the
database write it), so nobody who deletes has to think of it. Any process may read or seal at any time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from monitoring.counting import ADD, MOVE, READ, SAFE

SEALING = 0x7365616C  # the advisory lock of who seals
MARGIN = 10  # seconds that clocks may differ by, where a process tells the time of an end
OVERDUE = timedelta(minutes=2)  # the beat seals every 30 s; after as long a reader does


@dataclass(frozen=True, slots=True)
class Counted:
    """A series: `labels` as JSON; of a histogram `value` is the sum and `buckets` tell how many were at most each of
    BOUNDS, and last how many there were."""

    name: str
    labels: str
    value: float
    buckets: list[int] | None


def read() -> list[Counted]:
    """Every series up to this moment. Raises django.db.Error."""
    sealed = _sealed_until()
    if sealed is None or timezone.now() - sealed > OVERDUE:
        seal()
        sealed = _sealed_until()
    with connection.cursor() as cursor:
        cursor.execute(READ, {"since": sealed or "epoch", "until": "infinity"})
        return _added(Counted(*row) for row in cursor.fetchall())


def _added(rows: Iterable[Counted]) -> list[Counted]:
    """The total of a series and what came since are one."""
    found: dict[tuple[str, str], Counted] = {}
    for row in rows:
        key = (row.name, row.labels)
        before = found.get(key)
        found[key] = _sum(before, row) if before else row
    return list(found.values())


def _sum(a: Counted, b: Counted) -> Counted:
    buckets = [x + y for x, y in zip(a.buckets or (), b.buckets or (), strict=True)]
    return Counted(a.name, a.labels, a.value + b.value, buckets or None)


def seal(*, margin: int = MARGIN) -> bool:
    """Move the seal as far as is safe; False where another is at it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEALING])
        if not cursor.fetchone()[0]:
            return False
        since = _sealed_until() or "epoch"
        cursor.execute(SAFE, [margin])
        moments = {"since": since, "until": cursor.fetchone()[0]}
        if since == "epoch" or moments["until"] > since:
            cursor.execute(ADD, moments)
            cursor.execute(MOVE, moments)
            cursor.execute("DELETE FROM monitoring_departed WHERE at < %(until)s", moments)
    return True


def _sealed_until() -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(until) FROM monitoring_seal")
        found: datetime | None = cursor.fetchone()[0]
        return found
