import re
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client

from agents.models import Host, Worker
from lobby.findings import Finding, graded, worst
from monitoring import alerts, beats, condition
from monitoring.figures import Sample
from monitoring.models import Alert, AlertRule, Notification, Receiver, Snapshot
from tests.conftest import RedisServer
from tests.factories import make_admin, make_host, make_run, make_user

pytestmark = pytest.mark.django_db


def found(part: condition.Part) -> dict[str, tuple[str, str]]:
    return {finding.name: (finding.state, finding.words) for finding in part()}


@pytest.mark.parametrize(
    ("value", "warn", "fail", "expected"),
    [
        (1, 2, 3, "ok"),
        (2, 2, 3, "warn"),
        (3, 2, 3, "fail"),
        (0.5, 0.1, 0.03, "ok"),
        (0.1, 0.1, 0.03, "warn"),
        (0, 0.1, 0.03, "fail"),
    ],
)
def test_grades_go_up_or_down(value: float, warn: float, fail: float, expected: str) -> None:
    assert graded(value, warn=warn, fail=fail) == expected


def test_database_tells_of_connections_transactions_clock_and_queue() -> None:
    make_run(queued_at=Now() - timedelta(seconds=90))

    told = found(condition.database)

    assert {name: state for name, (state, _) in told.items()} == {
        "database": "ok",
        "transactions": "ok",
        "database clock": "ok",
        "queue": "warn",
    }
    assert_is(told["queue"], ("warn", "the oldest run waits for 90 s"))


def assert_is(told: tuple[str, str], expected: tuple[str, str]) -> None:
    """The same but for the seconds, which go on while the test works."""
    pattern, begun = re.compile(r"\d+(?= s\b)"), []
    for words in (told[1], expected[1]):
        begun.append([int(seconds) for seconds in pattern.findall(words)])
    assert (told[0], pattern.sub("", told[1])) == (expected[0], pattern.sub("", expected[1]))
    assert all(then <= now for now, then in zip(*begun, strict=True))


@pytest.mark.parametrize(
    ("silent", "expected"),
    [
        (None, ("fail", "there is none: nothing is answered")),
        (2, ("ok", "1, of which the quietest was seen 2 s ago")),
        (20, ("warn", "1, of which the quietest was seen 20 s ago")),
        (40, ("fail", "1, of which the quietest was seen 40 s ago")),
    ],
)
def test_workers_are_told_with_the_longest_silence(silent: int | None, expected: tuple[str, str]) -> None:
    if silent is not None:
        Worker.objects.create(machine="here", pid=1, seen_at=Now() - timedelta(seconds=silent))

    ((name, told),) = found(condition.workers).items()
    assert name == "workers"
    assert_is(told, expected)


def test_redis_tells_of_memory_clock_and_beat() -> None:
    silent = found(condition.redis)
    beats.mark()
    told = found(condition.redis)

    assert [state for state, _ in told.values()] == ["ok", "ok", "ok"]
    assert silent["beat"][0] == "fail"
    assert_is(told["beat"], ("ok", "last rang 0 s ago"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("ok", "up, 0 ms, has smollm2:135m")),
        ({"models": ()}, ("warn", "up, but has no model")),
        ({"state": Host.State.UNKNOWN}, ("warn", "not asked yet")),
        ({"state": Host.State.DOWN, "state_reason": "No Ollama answers."}, ("fail", "down: No Ollama answers.")),
    ],
)
def test_hosts_are_told_with_what_they_said(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    make_host(name="attic", **fields)

    assert found(condition.hosts) == {"host attic": expected}


@pytest.mark.parametrize("name", ["host 16", "Host of the attic"])
def test_host_whose_name_says_so_is_called_host_once(name: str) -> None:
    make_host(name=name)
    assert list(found(condition.hosts)) == [name]


def test_no_host_is_a_failure() -> None:
    assert found(condition.hosts) == {"hosts": ("fail", "no model host is switched on")}


def snapshots(span: str, values: list[float], *, name: str = "first_token_seconds:0.95", back: timedelta) -> None:
    """One for each value, `back` apart, the last of them just now."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    rows = [Snapshot(span=span, at=now - back * number, figures={name: value}) for number, value in enumerate(values)]
    Snapshot.objects.bulk_create(rows)


def test_slower_than_usual_is_told_in_times() -> None:
    snapshots("hour", [2.0] * 24 + [60.0], back=timedelta(hours=1))  # one bad hour makes no other week
    snapshots("minute", [4.0, 4.2, 5.0], back=timedelta(minutes=1))

    assert found(condition.speed) == {
        "speed of first token": (
            "warn",
            "first token takes 2.1 times as long as usual: 4.20 s, 2.00 s in the last 7 days (medians)",
        )
    }


@pytest.mark.parametrize(
    ("hours", "minutes", "expected"),
    [
        ([2.0] * 24, [2.1], ("ok", "first token takes as long as usual: 2.10 s, 2.00 s in the last 7 days (medians)")),
        (
            [2.0] * 24,
            [20.0],
            ("fail", "first token takes 10.0 times as long as usual: 20.00 s, 2.00 s in the last 7 days (medians)"),
        ),
        ([0.1] * 24, [0.6], ("ok", "first token takes as long as usual: 0.60 s, 0.10 s in the last 7 days (medians)")),
        ([2.0] * 11, [20.0], None),
        ([2.0] * 24, [], None),
    ],
)
def test_little_and_quick_is_not_called_slow(
    hours: list[float], minutes: list[float], expected: tuple[str, str] | None
) -> None:
    snapshots("hour", hours, back=timedelta(hours=1))
    snapshots("minute", minutes, back=timedelta(minutes=1))

    assert found(condition.speed) == ({"speed of first token": expected} if expected else {})


def test_what_hangs_or_is_away_holds_up_nobody() -> None:
    over = Event()

    def hangs() -> list[Finding]:
        over.wait()
        return []

    def breaks() -> list[Finding]:
        raise OperationalError("connection refused")

    told = condition.look({"one": hangs, "two": breaks, "three": lambda: [Finding("three", "ok", "here")]})
    over.set()

    assert [(finding.name, finding.state, finding.words) for finding in told] == [
        ("one", "fail", "no answer within 2.5 s"),
        ("two", "fail", "not reached: connection refused"),
        ("three", "ok", "here"),
    ]
    assert worst(told) == "fail"


@pytest.mark.django_db(transaction=True)
def test_report_is_a_page_for_people_and_json_for_programs(client: Client, redis_server: RedisServer) -> None:
    client.force_login(make_admin())
    make_host(name="<attic>")
    redis_server.kill()

    page = client.get("/health/deep", headers={"Accept": "text/html"})
    told = client.get("/health/deep", headers={"Accept": "application/json"}).json()

    assert (page.status_code, "host &lt;attic&gt;" in page.content.decode()) == (200, True)
    by_name = {finding["name"]: finding["state"] for finding in told["findings"]}
    assert (told["state"], by_name["redis"], by_name["workers"], by_name["host <attic>"]) == (
        "fail",
        "fail",
        "fail",
        "ok",
    )
    assert by_name["database"] == "ok"


def raised(*severities: str) -> None:
    for number, severity in enumerate(severities):
        AlertRule.objects.create(
            name=f"rule {number}", metric="workers", bound=0, severity=severity, advice="Start <it>."
        )
    alerts.evaluate([Sample("workers", 1)])


def test_open_alerts_stand_in_the_dashboard(client: Client) -> None:
    raised("info", "critical")
    alert = Alert.objects.get(rule__name="rule 1")
    receiver = Receiver.objects.create(kind="email", address="bob@house.example")
    Notification.objects.create(alert=alert, receiver=receiver, event="raised", state="failed", error="No such box.")
    client.force_login(make_admin())

    text = " ".join(client.get("/dashboard/alerts/").content.decode().split())

    assert text.index("rule 1") < text.index("rule 0")
    assert "Start &lt;it&gt;." in text
    assert "bob@house.example could not be told: No such box." in text
    assert "Take in hand: rule 1" in client.get("/dashboard/").content.decode()


def test_alert_is_taken_in_hand_by_staff_alone(client: Client) -> None:
    raised("critical")
    alert = Alert.objects.get()
    path = f"/dashboard/alerts/{alert.pk}/acknowledge/"
    client.force_login(make_user("bob"))
    assert client.post(path).status_code == 404

    client.force_login(make_admin())
    answers = [
        client.post(path).status_code,
        client.post(f"/dashboard/alerts/{make_run().pk}/acknowledge/").status_code,
    ]

    alert.refresh_from_db()
    assert (answers, alert.acknowledged_by and alert.acknowledged_by.username) == ([302, 404], "carol")


def test_lobby_tells_staff_what_is_critical_until_somebody_took_it(client: Client) -> None:
    raised("critical", "warning")
    carol = make_admin()
    bar = '<aside class="model-note is-failure" aria-label="Alerts">'
    seen = []
    for user in (make_user("bob"), carol):
        client.force_login(user)
        seen.append(bar in client.get("/").content.decode())
    alerts.acknowledge(Alert.objects.get(rule__severity="critical"), by=carol)

    assert (seen, bar in client.get("/").content.decode()) == ([False, True], False)


def test_programs_read_alerts_and_take_them_in_hand(client: Client) -> None:
    raised("info", "critical")
    client.force_login(make_admin())

    told = client.get("/api/dashboard/alerts").json()
    answer = client.post(f"/api/dashboard/alerts/{told[0]['id']}/acknowledge")

    assert [(each["rule"], each["severity"], each["acknowledged_by"]) for each in told] == [
        ("rule 1", "critical", None),
        ("rule 0", "info", None),
    ]
    assert (answer.status_code, answer.json()["acknowledged_by"], told[0]["text"]) == (
        200,
        "carol",
        "Workers: 1 (above 0).",
    )
