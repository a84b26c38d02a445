"""What an alert may be about, and the rules that an installation begins with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure (monitoring/figures.py) as a rule sees it; each of its labels is a subject of its own."""

    words: str
    unit: str = ""  # "s", "B", "share", which is written in per cent, or "switch", which is 1 or 0
    only: Mapping[str, str] = field(default_factory=dict)  # labels of the samples that count
    needs_redis: bool = False

    def show(self, value: float) -> str:
        match self.unit:
            case "switch":
                return "yes" if value else "no"
            case "share":
                return f"{value * 100:.3g} %"
            case "B":
                return f"{value / 2**20:,.0f} MiB"
            case "s":
                return f"{value:,.3g} s" if value < 100 else f"{value:,.0f} s"  # noqa: PLR2004 - as people write it
        return f"{value:,.6g}"

    def condition(self, comparison: str, bound: float) -> str:
        """When a rule holds, in words."""
        if self.unit == "switch":
            return f"{self.words}: {'no' if comparison == 'below' else 'yes'}"
        return f"{self.words} {comparison} {self.show(bound)}"


METRICS: dict[str, Metric] = {
    "queue_runs": Metric("runs waiting in line"),
    "queue_oldest_seconds": Metric("longest wait in line", "s"),
    "runs_running": Metric("runs under way"),
    "host_slots": Metric("replies at once that the host takes"),
    "host_up": Metric("host answers", "switch"),
    "host_breaker_state": Metric("breaker of the host: closed 0, half open 1, open 2", needs_redis=True),
    "failure_ratio": Metric("runs that failed in the last 5 min", "share"),
    "runs_finished": Metric("runs that ended in the last minute"),
    "run_failures": Metric("failures of a kind in the last 5 min"),
    "tokens_per_second": Metric("tokens per second in the last minute"),
    "first_token_seconds": Metric("wait for the first token, the slowest 5 % left out", "s", {"quantile": "0.95"}),
    "workers": Metric("workers"),
    "worker_oldest_seconds": Metric("longest silence of a worker", "s"),
    "beat_silent_seconds": Metric("silence of beat", "s", needs_redis=True),
    "debates_running": Metric("debates under way"),
    "debates_ended": Metric("debates that ended in the last 24 h, by label"),
    "database_connections": Metric("connections of the database"),
    "database_bytes": Metric("size of the database", "B"),
    "redis_bytes": Metric("memory that Redis uses", "B", needs_redis=True),
    "redis_up": Metric("Redis answers", "switch"),
    "ws_connections": Metric("open sockets", needs_redis=True),
    "disk_free_ratio": Metric("free disk", "share"),
    "runs_reaped": Metric("runs taken from dead workers in the last 5 min", needs_redis=True),
    "limits_hit": Metric("refusals by a limit in the last 5 min", needs_redis=True),
    "requests_per_second": Metric("requests per second", needs_redis=True),
    "request_seconds": Metric("mean duration of a request", "s", needs_redis=True),
}

# name → fields of AlertRule
DEFAULTS: dict[str, dict[str, Any]] = {
    "Host down": {
        "metric": "host_up",
        "comparison": "below",
        "bound": 1,
        "for_seconds": 30,
        "severity": "critical",
        "advice": "Start the Ollama of this host, or switch the host off under Admin → Hosts, which also says why.",
    },
    "Host shut out": {
        "metric": "host_breaker_state",
        "bound": 1,
        "for_seconds": 60,
        "advice": "It answers, but its runs fail: its log and the failed runs say why. It is tried again by itself.",
    },
    "Queue is slow": {
        "metric": "queue_oldest_seconds",
        "bound": 60,
        "advice": "More is asked than the hosts can take: add a host, or raise what one takes at once.",
    },
    "Replies fail": {
        "metric": "failure_ratio",
        "bound": 0.05,
        "for_seconds": 60,
        "advice": "Admin → Runs, filtered by failed, tells the kind of failure and the host.",
    },
    "First tokens are slow": {
        "metric": "first_token_seconds",
        "bound": 30,
        "for_seconds": 120,
        "advice": "A model that does not fit into memory is loaded again and again: look at what the host has loaded.",
    },
    "No worker": {
        "metric": "workers",
        "comparison": "below",
        "bound": 1,
        "for_seconds": 30,
        "severity": "critical",
        "advice": "Nothing is answered: start a worker (docs/operating.md); its log tells why it ended.",
    },
    "Worker is silent": {
        "metric": "worker_oldest_seconds",
        "bound": 30,
        "for_seconds": 15,
        "severity": "critical",
        "advice": "It hangs or is gone and nobody takes over its runs: start it again, and see that beat runs.",
    },
    "Beat is silent": {
        "metric": "beat_silent_seconds",
        "bound": 60,
        "for_seconds": 60,
        "severity": "critical",
        "advice": "Hosts are not asked and dead workers not noticed: start beat (docs/operating.md).",
    },
    "Redis is away": {
        "metric": "redis_up",
        "comparison": "below",
        "bound": 1,
        "for_seconds": 15,
        "severity": "critical",
        "advice": "Replies are written but not seen while they are, and limits do not count: start Redis.",
    },
    "Runs are taken from dead workers": {
        "metric": "runs_reaped",
        "bound": 0,
        "advice": "A worker died or hung in the middle of replies, which others repeat: its log may tell why.",
    },
    "Limits are hit": {
        "metric": "limits_hit",
        "bound": 20,
        "severity": "info",
        "advice": "Somebody asks more than he may: Admin → Limits, or talk with them.",
    },
    "Disk is low": {
        "metric": "disk_free_ratio",
        "comparison": "below",
        "bound": 0.1,
        "for_seconds": 60,
        "advice": "Make room: old backups, models that nobody uses, or a larger disk.",
    },
    "Disk is nearly full": {
        "metric": "disk_free_ratio",
        "comparison": "below",
        "bound": 0.03,
        "severity": "critical",
        "advice": "The database will stop taking writes: make room now.",
    },
}


def why_not(*, metric: str, bound: float) -> dict[str, str]:
    """What is wrong with a rule, by field; empty if nothing is."""
    wrong = {}
    known = METRICS.get(metric)
    if metric and known is None:  # that there is none is said by the field
        wrong["metric"] = f"There is no metric “{metric}”. There are: {', '.join(METRICS)}."
    if not math.isfinite(bound):
        wrong["bound"] = "The bound has to be a number."
    elif known is not None and known.unit == "share" and not 0 <= bound <= 1:
        wrong["bound"] = "This metric is a share: the bound is between 0 and 1."
    elif bound < 0:
        wrong["bound"] = "No metric is ever below 0."
    return wrong
