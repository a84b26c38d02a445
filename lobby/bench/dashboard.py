"""`lobby bench dashboard`: how long the server takes over what admins look at, and over the API's questions of state,
among a million runs. Imported once Django is set up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from agents.models import Host, Run, Worker
from chat.models import Conversation
from lobby.bench.figures import Figure
from lobby.embedded.child import StartFailed
from lobby.garbage import keep_what_is_there
from lobby.trials import demonstration

WARM_UP = 3
PAGE, LIST, SCRAPE, ANSWER = 150.0, 300.0, 50.0, 10.0  # ms: the bars of the dashboard, the admin, /metrics, the API
OK = 200

# As on a busy day: runs in line and under way, on hosts that are there, and such as have just ended
QUEUED, RUNNING, ENDED = 300, 12, 500
UNFINISHED = """
UPDATE agents_run SET status = CASE WHEN place <= %s THEN 'running' ELSE 'queued' END, finished_at = NULL,
       first_token_at = NULL, queued_at = now() - make_interval(secs => place / 10.0), host_id = %s, worker = %s
  FROM (SELECT id AS chosen, row_number() OVER (ORDER BY queued_at DESC) AS place FROM agents_run
         ORDER BY queued_at DESC LIMIT %s) latest
 WHERE id = chosen
"""
JUST_ENDED = """
UPDATE agents_run SET queued_at = queued_at + late, started_at = started_at + late,
       first_token_at = first_token_at + late, finished_at = finished_at + late
  FROM (SELECT id AS chosen, now() - finished_at - random() * interval '5 minutes' AS late FROM agents_run
         WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT %s) latest
 WHERE id = chosen
"""


@dataclass
class DashboardBench:
    runs: int
    times: int
    doing: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)

    def run(self) -> None:
        began = time.perf_counter()
        demonstration.make(runs=self.runs, doing=self.doing)
        self.figures.append(Figure(f"lobby demo-data, {self.runs:,} runs", "s", [time.perf_counter() - began]))
        make_busy()
        admin, asker = Client(), Client()
        admin.force_login(User.objects.create_superuser("bench-admin"))
        owner = User.objects.order_by("pk").get(username=f"{demonstration.USER}001")
        asker.force_login(owner)
        keep_what_is_there()  # as a web process does once it is up
        for path, bar in PAGES.items():
            self.measure(admin, path, bar=bar)
        for path in questions(owner):
            self.measure(asker, path, bar=ANSWER)

    def measure(self, client: Client, path: str, *, bar: float) -> None:
        self.doing(path)
        for _ in range(WARM_UP):
            milliseconds(client, path)
        worked = processor_seconds()
        taken = [milliseconds(client, path) for _ in range(self.times)]
        processor = (processor_seconds() - worked) * 1000 / self.times
        self.figures.append(Figure(path, "ms", taken, bar))
        self.figures.append(Figure("  processor time of each, PostgreSQL's too", "ms", [processor]))


PAGES = {
    "/dashboard/": PAGE,
    "/api/dashboard": PAGE,
    "/api/dashboard/history?span=24h": PAGE,
    "/api/dashboard/history?span=30d": PAGE,
    "/metrics": SCRAPE,
    "/admin/agents/run/": LIST,
    "/admin/agents/run/?status__exact=failed": LIST,
    "/admin/chat/conversation/": LIST,
    "/admin/debates/debate/": LIST,
}


def questions(owner: User) -> list[str]:
    """Of the user who has the most: some 7 % of all runs."""
    run, conversation = Run.objects.filter(owner=owner), Conversation.objects.filter(owner=owner)
    return [
        "/api/agents",
        "/api/runs",
        "/api/runs?status=failed",
        f"/api/runs/{run.values_list('pk', flat=True)[0]}",
        "/api/conversations",
        f"/api/conversations/{conversation.values_list('pk', flat=True)[0]}",
        "/api/debates",
    ]


def make_busy() -> None:
    hosts = [
        Host(name=f"bench {number}", base_url=f"http://127.0.0.1:{number}", max_parallel=4, state=Host.State.UP)
        for number in range(1, 4)
    ]
    Host.objects.bulk_create(hosts)
    workers = [Worker.objects.create(machine="bench", pid=number) for number in (1, 2)]
    with connection.cursor() as cursor:
        cursor.execute(UNFINISHED, [RUNNING, hosts[0].pk, workers[0].pk, QUEUED + RUNNING])
        cursor.execute(JUST_ENDED, [ENDED])
        cursor.execute("VACUUM ANALYZE")


def milliseconds(client: Client, path: str) -> float:
    """In the server, middleware included; not on the wire."""
    began = time.perf_counter()
    answer = client.get(path, headers={"host": "localhost"})
    taken = time.perf_counter() - began
    if answer.status_code != OK:
        raise StartFailed(f"{path} answered {answer.status_code}")
    return taken * 1000


def processor_seconds() -> float:
    """Of this thread and of the PostgreSQL process that answers it: what a busy machine changes least."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        spent = psutil.Process(cursor.fetchone()[0]).cpu_times()
    return time.thread_time() + float(spent.user + spent.system)
