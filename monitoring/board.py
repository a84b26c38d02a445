"""The dashboard: what monitoring.figures tells as tiles and tables, each with a way to the rows behind it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.timezone import now as this_moment

from agents.models import Host, Run
from monitoring.figures import ANY_HOST, CLOSED, ENDINGS, HALF_OPEN, OPEN, Sample, collect

BREAKER_WORDS = {CLOSED: "closed", HALF_OPEN: "half open", OPEN: "open"}
FAILED_TOO_OFTEN = 0.05
WAITED_TOO_LONG = 60  # seconds
MINUTE, HOUR = 60, 3600  # seconds
SILENT = 15  # seconds after which a worker or the beat counts as gone
LABELS = {"robust": "robust", "procedural": "procedural", "hollow": "hollow", "none": "no result"}


class Figures:
    """Samples by name and label."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._values = {(each.name, *each.labels.values()): each.value for each in samples}

    def get(self, name: str, *labels: str) -> float | None:
        return self._values.get((name, *labels))

    def all_of(self, name: str) -> dict[str, float]:
        return {key[1]: value for key, value in self._values.items() if key[0] == name and len(key) > 1}

    def total(self, name: str) -> float:
        return sum(self.all_of(name).values())


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    note: str = ""
    href: str = ""
    tone: str = ""  # "warning" or "failure" where somebody should look


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table: its name, then its cells."""

    name: str
    cells: list[str]
    href: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A table; `empty` is said where it has no rows."""

    key: str
    title: str
    head: tuple[str, ...]
    lines: list[Line]
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    at: datetime
    samples: list[Sample] = field(repr=False)
    tiles: list[Tile]
    panels: list[Panel]


def look() -> Board:
    """Raises django.db.Error."""
    samples, at = collect(), this_moment()
    figures = Figures(samples)
    panels = [
        Panel(
            "hosts",
            "Model hosts",
            ("Host", "State", "Breaker", "Running", "In line", "Probe"),
            list(_hosts(figures)),
            "No model host. An admin adds one under Admin → Hosts.",
        ),
        Panel("stores", "Database, Redis and this machine", ("What", "Value"), list(_stores(figures))),
        Panel("states", "Runs by state", ("State", "Now", "Last minute", "24 hours"), list(_states(figures))),
        Panel(
            "workers",
            "Workers",
            ("Process", "Runs", "Last seen"),
            [_worker(*row) for row in _rows(WORKERS)],
            "No worker is running, so nothing is answered.",
        ),
        Panel("failures", "Failures, last 5 minutes", ("Kind", "Runs"), list(_failures(figures, at)), "None."),
        Panel("labels", "Debates ended, last 24 hours", ("Label", "Debates"), list(_labels(figures, at))),
    ]
    return Board(at=at, samples=samples, tiles=list(_tiles(figures, at)), panels=panels)


def rows_of(model: str, **lookups: str) -> str:
    """The admin's list of `app.model`, filtered."""
    query = f"?{urlencode(lookups)}" if lookups else ""
    return reverse(f"admin:{model.replace('.', '_')}_changelist") + query


def _since(at: datetime, **back: float) -> str:
    return (at - timedelta(**back)).isoformat(timespec="seconds")


def _tiles(figures: Figures, at: datetime) -> Iterable[Tile]:
    lately = rows_of("agents.run", finished_at__gte=_since(at, minutes=5))
    running, slots = figures.total("runs_running"), figures.total("host_slots")
    yield Tile("Running", f"{running:,.0f}", f"of {slots:,.0f} at once", rows_of("agents.run", status__exact="running"))
    yield _line(figures)
    yield _first_token(figures, lately)
    yield Tile("Tokens", f"{figures.get('tokens_per_second') or 0:,.1f}", "written per second, last minute", lately)
    yield _failure(figures, at)
    yield _workers(figures)
    debates = figures.get("debates_running") or 0
    yield Tile("Debates", f"{debates:,.0f}", "under way", rows_of("debates.debate", status__exact="running"))
    yield _told(figures, "Requests", "requests_per_second", "per second", digits=1)
    yield _told(figures, "Sockets", "ws_connections", "and event streams, open")


def _line(figures: Figures) -> Tile:
    waiting, oldest = figures.total("queue_runs"), figures.get("queue_oldest_seconds") or 0
    note = f"the oldest for {seconds(oldest)}" if waiting else "nobody waits"
    tone = "warning" if oldest > WAITED_TOO_LONG else ""
    return Tile("In line", f"{waiting:,.0f}", note, rows_of("agents.run", status__exact="queued"), tone)


def _told(figures: Figures, label: str, name: str, note: str, *, digits: int = 0) -> Tile:
    """What only Redis knows."""
    value = figures.get(name)
    return Tile(label, "–", "Redis is away") if value is None else Tile(label, f"{value:,.{digits}f}", note)


def _first_token(figures: Figures, href: str) -> Tile:
    median, p95 = (figures.get("first_token_seconds", quantile) for quantile in ("0.5", "0.95"))
    if median is None or p95 is None:
        return Tile("First token", "–", "no reply in 5 minutes", href)
    return Tile("First token", seconds(median), f"p95 {seconds(p95)}, last 5 minutes", href)


def _failure(figures: Figures, at: datetime) -> Tile:
    ratio = figures.get("failure_ratio") or 0
    href = rows_of("agents.run", status__in="failed,interrupted", finished_at__gte=_since(at, minutes=5))
    tone = "failure" if ratio > FAILED_TOO_OFTEN else ""
    return Tile("Failed", f"{ratio:.1%}", f"{figures.total('run_failures'):,.0f} in 5 minutes", href, tone)


def _workers(figures: Figures) -> Tile:
    number, silent = figures.get("workers") or 0, figures.get("worker_oldest_seconds") or 0
    href = rows_of("agents.worker")
    if not number:
        return Tile("Workers", "0", "nothing is answered", href, "failure")
    if silent > SILENT:
        return Tile("Workers", f"{number:,.0f}", f"one silent for {seconds(silent)}", href, "warning")
    return Tile("Workers", f"{number:,.0f}", "at work", href)


# Of a day's minutes, and of the rows since the last of them; the planner's own count of all rows is near enough and
# costs nothing.
DAY = """
WITH day AS (SELECT * FROM monitoring_snapshot WHERE span = 'minute' AND at > now() - interval '24 hours'),
     since AS (SELECT status, count(*) AS runs FROM agents_run
                WHERE finished_at >=
                      (SELECT coalesce(max(at) + interval '1 minute', now() - interval '24 hours') FROM day)
                GROUP BY status)
SELECT status, coalesce((SELECT sum((figures->>('runs_finished:' || status))::float8) FROM day), 0)
               + coalesce((SELECT runs FROM since WHERE since.status = ended.status), 0)
  FROM unnest(%s::text[]) AS ended (status)
"""
KEPT = "SELECT reltuples FROM pg_class WHERE oid = 'agents_run'::regclass"


def _states(figures: Figures) -> Iterable[Line]:
    day = dict(_rows(DAY, [status.value for status in ENDINGS]))
    ((rows,),) = _rows(KEPT)
    now = {Run.Status.QUEUED: figures.total("queue_runs"), Run.Status.RUNNING: figures.total("runs_running")}
    for status in Run.Status:
        href = rows_of("agents.run", status__exact=status.value)
        if status in now:
            yield Line(status.label, [f"{now[status]:,.0f}", "", ""], href)
            continue
        minute = figures.get("runs_finished", status) or 0
        yield Line(status.label, ["", f"{minute:,.0f}", f"{day[status]:,.0f}"], href)
    yield Line("all kept", ["", "", f"≈ {max(0, rows):,.0f}"], rows_of("agents.run"))


def _hosts(figures: Figures) -> Iterable[Line]:
    for host in Host.objects.all():
        yield _host(host, figures)
    if anywhere := figures.get("queue_runs", ANY_HOST):
        href = rows_of("agents.run", status__exact="queued", wanted_host__isnull="True")
        yield Line("any host", ["", "", "", f"{anywhere:,.0f}", ""], href)


def _host(host: Host, figures: Figures) -> Line:
    breaker = figures.get("host_breaker_state", host.name)
    running, waiting = figures.get("runs_running", host.name) or 0, figures.get("queue_runs", host.name) or 0
    cells = [
        _state_of(host),
        _breaker(breaker) if host.is_enabled else "",
        f"{running:,.0f} of {host.max_parallel}",
        f"{waiting:,.0f}" if waiting else "",
        f"{host.latency_ms:,.0f} ms" if host.latency_ms is not None else "",
    ]
    is_ill = host.is_enabled and (host.state == Host.State.DOWN or breaker == OPEN)
    href = reverse("admin:agents_host_change", args=[host.pk])
    return Line(host.name, cells, href, "failure" if is_ill else "")


def _state_of(host: Host) -> str:
    if not host.is_enabled:
        return "switched off"
    return "draining" if host.is_draining and host.state == Host.State.UP else host.get_state_display()


def _breaker(state: float | None) -> str:
    return "unknown" if state is None else BREAKER_WORDS[int(state)]


WORKERS = """
SELECT w.machine, w.pid, EXTRACT(EPOCH FROM now() - w.seen_at), count(r.worker), w.id
  FROM agents_worker w
  LEFT JOIN (SELECT worker FROM agents_run WHERE status = 'running') r ON r.worker = w.id
 GROUP BY w.id ORDER BY w.machine, w.pid
"""


def _worker(machine: str, pid: int, silent: float, running: int, pk: Any) -> Line:
    name = f"{machine.partition('/')[0]}, process {pid}"
    href = rows_of("agents.run", status__exact="running", worker__exact=str(pk))
    return Line(name, [f"{running:,}", f"{seconds(float(silent))} ago"], href, "warning" if silent > SILENT else "")


def _failures(figures: Figures, at: datetime) -> Iterable[Line]:
    since = _since(at, minutes=5)
    for kind, number in sorted(figures.all_of("run_failures").items(), key=lambda item: -item[1]):
        lookups = {"error_kind__exact": kind} if kind != "unknown" else {"status__exact": Run.Status.FAILED.value}
        yield Line(kind.replace("_", " "), [f"{number:,.0f}"], rows_of("agents.run", finished_at__gte=since, **lookups))


def _labels(figures: Figures, at: datetime) -> Iterable[Line]:
    since = _since(at, hours=24)
    for label, words in LABELS.items():
        lookups = {"verdict__label__exact": label} if label != "none" else {"status__exact": "ended"}
        href = rows_of("debates.debate", ended_at__gte=since, **lookups)
        yield Line(words, [f"{figures.get('debates_ended', label) or 0:,.0f}"], href)


def _stores(figures: Figures) -> Iterable[Line]:
    beat = figures.get("beat_silent_seconds")
    yield Line("Database connections", [_number(figures.get("database_connections"))])
    yield Line("Database size", [_size(figures.get("database_bytes"))])
    yield Line("Redis memory", [_size(figures.get("redis_bytes"))], tone="" if beat is not None else "failure")
    yield Line("Free disk space", [f"{figures.get('disk_free_ratio') or 0:.0%}"])
    is_silent = beat is None or beat > SILENT
    yield Line(
        "Last beat", ["unknown" if beat is None else f"{seconds(beat)} ago"], tone="failure" if is_silent else ""
    )
    yield Line("Runs taken from dead workers, 5 minutes", [_number(figures.get("runs_reaped"))])
    yield Line("Limits hit, 5 minutes", [_number(figures.get("limits_hit"))])


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _size(value: float | None) -> str:
    return "unknown" if value is None else filesizeformat(value).replace("\xa0", " ")


def seconds(value: float) -> str:
    """For people: "340 ms", "2.4 s", "3 min", "5 h"."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 2 * MINUTE:
        return f"{value:.1f} s"
    return f"{value / MINUTE:,.0f} min" if value < 2 * HOUR else f"{value / HOUR:,.0f} h"


def _rows(query: str, *given: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, given or None)
        return list(cursor.fetchall())


def as_json(samples: Iterable[Sample]) -> list[Mapping[str, Any]]:
    return [{"name": each.name, "value": each.value, "labels": dict(each.labels)} for each in samples]
