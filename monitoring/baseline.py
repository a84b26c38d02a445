"""What is usual here: medians of the last seven days, against which the last quarter of an hour is held."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

LEAST = 12  # known hours or minutes before anything is called usual


@dataclass(frozen=True, slots=True)
class Measure:
    name: str  # of the figure in a snapshot
    words: str
    floor: float  # seconds; what is quicker is not slow, however often it was quicker still


MEASURES = (
    Measure("first_token_seconds:0.95", "first token", 1.0),
    Measure("request_seconds", "a page", 0.1),
    Measure("queue_oldest_seconds", "wait in line", 2.0),
)

# The hours of the week, the minutes of now: a snapshot of another span would be counted twice.
MEDIANS = """
SELECT key,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY value::float8) FILTER (WHERE span = 'hour'),
       count(*) FILTER (WHERE span = 'hour'),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY value::float8) FILTER (WHERE span = 'minute')
  FROM monitoring_snapshot, jsonb_each_text(figures)
 WHERE key = ANY(%s)
   AND ((span = 'hour' AND at > now() - interval '7 days')
        OR (span = 'minute' AND at > now() - interval '15 minutes'))
 GROUP BY key
"""


def compare() -> Iterator[tuple[str, str, float]]:
    """Name, words and how many times as long as usual, of each measure that both times tell of."""
    with connection.cursor() as cursor:
        cursor.execute(MEDIANS, [[measure.name for measure in MEASURES]])
        found = {name: row for name, *row in cursor.fetchall()}
    for measure in MEASURES:
        usual, known, now = found.get(measure.name, (None, 0, None))
        if usual is None or now is None or known < LEAST:
            continue
        factor = max(now, measure.floor) / max(usual, measure.floor)
        yield f"speed of {measure.words}", _words(measure, now=now, usual=usual, factor=factor), factor


def _words(measure: Measure, *, now: float, usual: float, factor: float) -> str:
    times = "as long as usual" if factor < 1.1 else f"{factor:.1f} times as long as usual"  # noqa: PLR2004 - a tenth
    return f"{measure.words} takes {times}: {now:,.2f} s, {usual:,.2f} s in the last 7 days (medians)"
