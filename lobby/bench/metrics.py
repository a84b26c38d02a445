"""What a scrape of `/metrics` takes with a long history: a season of runs, all models busy, a thousand just ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import uniform

import httpx
from django.db import connection, transaction
from prometheus_client.parser import text_string_to_metric_families

from lobby.bench.debates import cpu_of
from lobby.bench.figures import Figure
from lobby.bench.stack import Stack
from lobby.trials import demonstration
from monitoring import totals
from monitoring.models import Departed, Seal, Total

BAR = 50.0  # milliseconds
PAUSE = (0.05, 0.2)  # seconds between scrapes

# Counted in their rows: no beat moves the seal meanwhile.
END_NOW = """
UPDATE agents_run SET queued_at = now() - make_interval(secs => 20), started_at = now() - make_interval(secs => 15),
       first_token_at = now() - make_interval(secs => 14), finished_at = now()
 WHERE id IN (SELECT id FROM agents_run WHERE finished_at < now() - %s::interval ORDER BY finished_at DESC LIMIT %s)
"""


@dataclass
class MetricsBench:
    stack: Stack
    runs: int
    recent: int
    scrapes: int
    token: str
    doing: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)
    told: float = 0  # ends that the last scrape counted

    def run(self) -> None:
        demonstration.make(runs=self.runs, doing=self.doing)
        self.doing("Sealing")
        self.figures.append(Figure(f"sealing {self.runs:,} runs at once", "s", [seal_all()]))
        with connection.cursor() as cursor:
            cursor.execute(END_NOW, ["1 hour", self.recent])
        self.doing("Scraping")
        self.measure()

    def measure(self) -> None:
        with httpx.Client(trust_env=False, timeout=60, headers={"Authorization": f"Bearer {self.token}"}) as scraper:
            answers = [self.scrape(scraper)]
            before = self.cpu()
            answers += [self.scrape(scraper) for _ in range(self.scrapes)]
            spent = (self.cpu() - before) / self.scrapes
        first, *others = [milliseconds for milliseconds, _ in answers]
        bodies = [body for _, body in answers[1:]]
        self.told = sum(sum_of(bodies[-1], "lobby_runs_total").values())
        parts = [sum_of(body, "lobby_scrape_seconds") for body in bodies]
        self.figures += [
            Figure(f"scrape, {self.runs:,} runs", "ms", others, BAR),
            *(Figure(f"  of it {name}", "ms", [part[name] * 1000 for part in parts]) for name in parts[0]),
            Figure("CPU of web and PostgreSQL per scrape", "ms", [spent * 1000]),
            Figure("the first scrape", "ms", [first]),
            Figure("  its size", "KiB", [len(answers[0][1]) / 1024]),
        ]

    def cpu(self) -> float:
        """Seconds; what beat's tasks cost meanwhile is among them."""
        return sum(cpu_of(process) for process in self.stack.processes([*self.stack.web, "postgres"]))

    def scrape(self, scraper: httpx.Client) -> tuple[float, str]:
        time.sleep(uniform(*PAUSE))  # noqa: S311  (so that nothing else of the machine keeps step with it)
        began = time.perf_counter()
        answer = scraper.get(f"{self.stack.addresses[0]}/metrics")
        took = (time.perf_counter() - began) * 1000
        answer.raise_for_status()
        return took, answer.text


def seal_all() -> float:
    """Seconds to begin anew, as an installation does that had no totals before."""
    began = time.perf_counter()
    with transaction.atomic():
        for kind in (Total, Seal, Departed):
            kind.objects.all().delete()
        while not totals.seal():  # beat's own is at it
            time.sleep(0.01)
    return time.perf_counter() - began


def sum_of(body: str, name: str) -> dict[str, float]:
    """The samples of a metric, by the value of their first label."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            if sample.name == name:
                label = next(iter(sample.labels.values()))
                found[label] = found.get(label, 0) + sample.value
    return found
