"""Which series of the history stand together in a chart."""

from dataclasses import asdict, dataclass

import orjson

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    name: str  # of a series
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`per`: a counter is shown as what came in so many seconds; 0: as it is kept. `prefix`: every series that begins
    so is a line, named by the rest. `scale`: what the values are divided by. `coarse`: what is rare is counted in each
    hour of a day and on each day of a month; the unit is that then."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...] = ()
    prefix: str = ""
    per: int = 0
    scale: float = 1
    coarse: bool = False

    @property
    def as_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()


ENDED = (
    Line("runs_finished:done", "done"),
    Line("runs_finished:failed", "failed"),
    Line("runs_finished:cancelled", "stopped"),
    Line("runs_finished:interrupted", "broken off"),
)
FIRST_TOKEN = (Line("first_token_seconds:0.5", "median"), Line("first_token_seconds:0.95", "p95"))
UNFINISHED = (Line("runs_running", "running"), Line("queue_runs", "in line"))
TOKENS = (Line("tokens_written", "written"), Line("tokens_read", "read"))
REQUESTS = (Line("requests_per_second", "requests"),)
CONNECTIONS = (Line("ws_connections", "sockets"), Line("database_connections", "database"), Line("workers", "workers"))
STORES = (Line("database_bytes", "database"), Line("redis_bytes", "Redis"))

CHARTS = (
    Chart("ended", "Runs ended", "per minute", ENDED, per=60),
    Chart("first-token", "First token", "seconds", FIRST_TOKEN),
    Chart("line", "Running and in line", "runs", UNFINISHED),
    Chart("tokens", "Tokens", "per second", TOKENS, per=1),
    Chart("failures", "Failures by kind", "runs", prefix="run_failures:", coarse=True),
    Chart("labels", "Debates ended, by label", "debates", prefix="debates_ended:", coarse=True),
    Chart("requests", "Requests", "per second", REQUESTS),
    Chart("connections", "Connections and workers", "open", CONNECTIONS),
    Chart("stores", "Database and Redis", "MiB", STORES, scale=MIB),
)
