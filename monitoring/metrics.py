"""What `/metrics` tells, in Prometheus' text format.

`lobby_…` is of the whole installation and the same on every machine: counters and histograms from the rows
(monitoring/totals.py), gauges of now (monitoring/figures.py). `http_…` is of the web processes of the machine that is
asked (monitoring/requests.py).
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import get_args

import orjson
import structlog
from django.db import Error
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from redis.exceptions import RedisError

from agents.ollama.errors import OllamaError
from agents.purposes import PURPOSES
from debates.consensus import StopReason
from debates.consensus.labels import LabelName
from debates.protocols import PROTOCOLS
from monitoring import figures, totals
from monitoring.counting import BOUNDS
from monitoring.figures import Sample
from monitoring.totals import Counted

log = structlog.get_logger()

FAULTS = sorted({fault.kind for fault in OllamaError.__subclasses__()})
LABELS = get_args(LabelName)

# A name without its "lobby_" and, of counters, "_total"; and what it means, with its unit.
COUNTERS = {
    "runs": "Runs that came to an end. One that is repeated ends again.",
    "run_failures": "Runs that failed or broke off, by the kind of error.",
    "tokens": "Tokens of ended runs as their hosts counted them: read (prompt) and written (output).",
    "debates": "Debates that came to an end, by protocol and the label of their consensus.",
    "debate_stops": "Debates that came to an end, by what ended them.",
    "chats": "Conversations begun.",
    "audit_events": "Rows of the audit trail, by action.",
}
HISTOGRAMS = {
    "run_first_token_seconds": "Seconds from a question to the first token of its answer, waiting in line included.",
    "run_queue_seconds": "Seconds that ended runs waited in line.",
    "run_seconds": "Seconds from the start of a run on its host to its end.",
    "debate_seconds": "Seconds from the start of a debate to its end.",
}
# Series that are told before anything is counted in them: from nothing to one is no increase to Prometheus.
KNOWN: dict[str, Callable[[], list[dict[str, str]]]] = {
    "runs": lambda: [{"status": str(status), "purpose": each} for each in PURPOSES for status in figures.ENDINGS],
    "run_failures": lambda: [{"kind": kind} for kind in (*FAULTS, "worker_lost")],
    "debates": lambda: [{"protocol": each, "label": label} for each in PROTOCOLS for label in (*LABELS, "none")],
    "debate_stops": lambda: [{"reason": reason} for reason in get_args(StopReason)],
    "chats": lambda: [{}],
}
GAUGES = {
    "queue_runs": "Runs waiting in line, by the host they are meant for.",
    "queue_oldest_seconds": "Seconds that the oldest waiting run has waited; 0: none waits.",
    "runs_running": "Runs under way, by host.",
    "host_slots": "Runs that a host takes at once.",
    "host_up": "1: the host answered the last probe, 0: it did not.",
    "host_breaker_state": "Circuit breaker of a host: 0 closed, 1 half open, 2 open.",
    "failure_ratio": "Share of the runs of the last 5 minutes that failed or broke off, 0 to 1.",
    "runs_finished": "Runs that ended in the last minute, by status.",
    "run_failures": "Runs that failed or broke off in the last 5 minutes, by the kind of error.",
    "tokens_per_second": "Tokens written per second, over the last minute.",
    "first_token_seconds": "Seconds from a question to the first token, quantiles over the last 5 minutes.",
    "workers": "Worker processes that are registered.",
    "worker_oldest_seconds": "Seconds since the worker that has been silent longest was seen.",
    "beat_silent_seconds": "Seconds since beat last sent something.",
    "debates_running": "Debates under way.",
    "debates_ended": "Debates that ended in the last 24 hours, by the label of their consensus.",
    "database_connections": "Connections to the database.",
    "database_bytes": "Size of the database in bytes.",
    "redis_bytes": "Memory that Redis uses, in bytes.",
    "ws_connections": "Open WebSockets and event streams, of all web processes.",
    "disk_free_ratio": "Free share of the disk with the lobby's data, on the machine that is asked, 0 to 1.",
    "runs_reaped": "Runs taken from dead workers in the last 5 minutes.",
    "limits_hit": "Requests refused by a limit in the last 5 minutes.",
    "requests_per_second": "Requests per second of all web processes, over the last seconds.",
    "request_seconds": "Mean seconds of a request, of all web processes, over the last seconds.",
}


def expose() -> bytes:
    """All of it; without the database only what this machine knows by itself, and that the rest is missing."""
    return generate_latest(_of_machine()) + generate_latest(_Installation())


def _of_machine() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # monitoring.multiprocess has settled it
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class _Installation:
    def collect(self) -> Iterator[Metric]:
        return _of_installation()


def _of_installation() -> Iterator[Metric]:
    """What is known, and last which parts of it there are: `redis` is those figures that it alone knows."""
    took = GaugeMetricFamily("lobby_scrape_seconds", "Seconds that this part of the scrape took.", labels=["part"])
    is_well = GaugeMetricFamily("lobby_scrape_ok", "1: this part of the scrape is complete, 0: not.", labels=["part"])
    told: list[Metric] = []
    for part, read in PARTS.items():
        began = time.perf_counter()
        found = _read(part, read)
        took.add_metric([part], time.perf_counter() - began)
        is_well.add_metric([part], bool(found))
        told += found
    is_well.add_metric(["redis"], any(each.name == "lobby_redis_bytes" and each.samples for each in told))
    yield from (*told, took, is_well)


def _read(part: str, read: Callable[[], Iterator[Metric]]) -> list[Metric]:
    try:
        return list(read())
    except (Error, RedisError) as error:
        log.warning("scrape_incomplete", part=part, error=str(error))
        return []


def _of_totals() -> Iterator[Metric]:
    series: defaultdict[str, list[Counted]] = defaultdict(list)
    for counted in totals.read():
        series[counted.name].append(counted)
    for name, words in COUNTERS.items():
        yield _counter(name, words, series[name])
    for name, words in HISTOGRAMS.items():
        yield _histogram(name, words, series[name])


def _counter(name: str, words: str, series: list[Counted]) -> Metric:
    family = CounterMetricFamily(f"lobby_{name}", words)
    told = [(orjson.loads(counted.labels), counted.value) for counted in series]
    named = [labels for labels, _ in told]
    told += [(labels, 0) for labels in KNOWN.get(name, list)() if labels not in named]
    for labels, value in told:
        family.add_sample(f"lobby_{name}_total", labels, value)
    return family


def _histogram(name: str, words: str, series: list[Counted]) -> Metric:
    family = HistogramMetricFamily(f"lobby_{name}", words)
    bounds = [*(repr(float(bound)) for bound in BOUNDS[name]), "+Inf"]
    for counted in series:
        labels, buckets = orjson.loads(counted.labels), counted.buckets or []
        for bound, number in zip(bounds, buckets, strict=True):
            family.add_sample(f"lobby_{name}_bucket", labels | {"le": bound}, number)
        family.add_sample(f"lobby_{name}_count", labels, buckets[-1])
        family.add_sample(f"lobby_{name}_sum", labels, counted.value)
    return family


def _of_figures() -> Iterator[Metric]:
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in figures.collect():
        samples[sample.name].append(sample)
    for name, words in GAUGES.items():
        family = GaugeMetricFamily(f"lobby_{name}", words)
        for sample in samples[name]:
            family.add_sample(f"lobby_{name}", dict(sample.labels), sample.value)
        yield family


PARTS = {"totals": _of_totals, "figures": _of_figures}
