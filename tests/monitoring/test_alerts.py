from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import orjson
import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now

from agents.models import Host
from lobby.live.connections import sync_redis
from lobby.live.streams import key
from monitoring import alerts, figures, lookout, turns
from monitoring.figures import Sample
from monitoring.models import Alert, AlertRule, AuditEvent, Turn
from monitoring.rules import DEFAULTS, METRICS
from tests.conftest import RedisServer
from tests.factories import make_admin, make_host

pytestmark = pytest.mark.django_db


def make_rule(metric: str = "queue_oldest_seconds", bound: float = 60, **fields: Any) -> AlertRule:
    return AlertRule.objects.create(**{"name": f"rule on {metric}", "metric": metric, "bound": bound, **fields})


def measured(value: float, name: str = "queue_oldest_seconds", **labels: str) -> Sample:
    return Sample(name, value, labels)


def later(seconds: int) -> None:
    """As if so many seconds had passed for the alerts that there are."""
    for field in ("since", "raised_at", "calm_since"):
        for alert in Alert.objects.exclude(**{field: None}):
            Alert.objects.filter(pk=alert.pk).update(**{field: getattr(alert, field) - timedelta(seconds=seconds)})


def states() -> list[tuple[str, str]]:
    return [(alert.subject, state_of(alert)) for alert in Alert.objects.order_by("since", "subject")]


def state_of(alert: Alert) -> str:
    if alert.resolved_at:
        return "resolved"
    return "raised" if alert.raised_at else "pending"


def test_new_installation_has_rules_that_hold_water() -> None:
    alerts.seed()

    rules = list(AlertRule.objects.all())
    for rule in rules:
        rule.full_clean()
    assert {rule.name for rule in rules} == set(DEFAULTS)
    assert {rule.severity for rule in rules} == {"info", "warning", "critical"}


def test_rules_an_admin_left_are_left_alone() -> None:
    make_rule()
    alerts.seed()

    assert AlertRule.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"metric": "made_up"}, {"metric": ["There is no metric “made_up”."]}),
        ({"metric": ""}, {"metric": ["This field cannot be blank."]}),
        ({"bound": float("nan")}, {"bound": ["The bound has to be a number."]}),
        ({"bound": float("inf")}, {"bound": ["The bound has to be a number."]}),
        ({"bound": -1}, {"bound": ["No metric is ever below 0."]}),
        ({"metric": "failure_ratio", "bound": 5}, {"bound": ["This metric is a share: the bound is between 0 and 1."]}),
    ],
)
def test_rule_that_can_not_work_is_refused(fields: dict[str, Any], expected: dict[str, list[str]]) -> None:
    rule = AlertRule(**{"name": "mine", "metric": "queue_oldest_seconds", "bound": 60.0, **fields})

    with pytest.raises(ValidationError) as refused:
        rule.full_clean()
    told = {
        name: [words.partition(" There are:")[0] for words in found]
        for name, found in refused.value.message_dict.items()
    }
    assert told == expected


def test_every_figure_can_have_a_rule() -> None:
    make_host()
    known = {sample.name for sample in figures.collect()}

    assert known - set(METRICS) == set()


def test_what_is_beyond_its_bound_is_raised_once() -> None:
    make_rule()

    for value in (60, 61, 95):
        alerts.evaluate([measured(value)])

    (alert,) = Alert.objects.all()
    assert (state_of(alert), alert.value) == ("raised", 95)


def test_what_is_below_its_bound_is_raised() -> None:
    make_rule("host_up", 1, comparison="below")

    alerts.evaluate([measured(1, "host_up", host="attic"), measured(0, "host_up", host="cellar")])

    assert states() == [("cellar", "raised")]


def test_each_label_is_a_subject_of_its_own() -> None:
    make_rule("host_up", 1, comparison="below")

    alerts.evaluate([measured(0, "host_up", host="attic"), measured(0, "host_up", host="cellar")])
    alerts.evaluate([measured(0, "host_up", host="attic"), measured(1, "host_up", host="cellar")])
    later(20)
    alerts.evaluate([measured(0, "host_up", host="attic"), measured(1, "host_up", host="cellar")])

    assert sorted(states()) == [("attic", "raised"), ("cellar", "resolved")]


def test_of_the_first_tokens_the_slow_ones_count() -> None:
    make_rule("first_token_seconds", 10)

    alerts.evaluate([measured(12, "first_token_seconds", quantile="0.5")])
    assert states() == []
    alerts.evaluate([measured(12, "first_token_seconds", quantile="0.95")])
    assert states() == [("", "raised")]


def test_raised_only_after_it_was_so_for_long_enough() -> None:
    make_rule(for_seconds=60)

    alerts.evaluate([measured(70)])
    first = states()
    later(45)
    alerts.evaluate([measured(70)])
    second = states()
    later(20)
    alerts.evaluate([measured(70)])

    assert (first, second, states()) == ([("", "pending")], [("", "pending")], [("", "raised")])


def test_what_was_not_so_for_long_enough_begins_anew() -> None:
    make_rule(for_seconds=60)

    alerts.evaluate([measured(70)])
    later(45)
    alerts.evaluate([measured(50)])
    assert states() == []
    alerts.evaluate([measured(70)])
    later(45)
    alerts.evaluate([measured(70)])

    assert states() == [("", "pending")]


def test_over_when_found_so_twice_in_a_row() -> None:
    make_rule()
    alerts.evaluate([measured(70)])

    alerts.evaluate([measured(50)])
    once = states()
    later(15)
    alerts.evaluate([measured(50)])

    assert (once, states()) == ([("", "raised")], [("", "resolved")])


def test_two_who_look_at_the_same_moment_are_not_twice_in_a_row() -> None:
    make_rule()
    alerts.evaluate([measured(70)])

    alerts.evaluate([measured(50)])
    alerts.evaluate([measured(50)])

    assert states() == [("", "raised")]


def test_over_and_not_over_by_turns_is_not_over() -> None:
    make_rule()
    for value in (70, 50, 70, 50, 70, 50):
        alerts.evaluate([measured(value)])
        later(15)

    assert states() == [("", "raised")]


def test_it_can_be_raised_again() -> None:
    make_rule()
    for value in (70, 50, 50, 70):
        alerts.evaluate([measured(value)])
        later(15)

    assert sorted(state for _, state in states()) == ["raised", "resolved"]


def test_figure_that_is_no_longer_told_is_over() -> None:
    """A host that was deleted, say."""
    make_rule("host_up", 1, comparison="below")
    alerts.evaluate([measured(0, "host_up", host="attic")])
    for _ in range(2):
        later(15)
        alerts.evaluate([])

    assert states() == [("attic", "resolved")]


def test_while_redis_is_away_nothing_is_said_of_what_it_alone_knows() -> None:
    make_rule("beat_silent_seconds")
    make_rule("redis_up", 1, comparison="below")
    alerts.evaluate([measured(90, "beat_silent_seconds"), measured(1, "redis_bytes")])
    for _ in range(3):
        later(15)
        alerts.evaluate([measured(3, "workers")])

    assert {alert.rule.metric: state_of(alert) for alert in Alert.objects.all()} == {
        "beat_silent_seconds": "raised",
        "redis_up": "raised",
    }


@pytest.mark.parametrize(("for_seconds", "expected"), [(0, [("", "resolved")]), (60, [])])
def test_rule_that_is_switched_off_has_no_open_alert(for_seconds: int, expected: list[tuple[str, str]]) -> None:
    rule = make_rule(for_seconds=for_seconds)
    alerts.evaluate([measured(70)])
    AlertRule.objects.filter(pk=rule.pk).update(is_enabled=False)

    alerts.evaluate([measured(70)])

    assert states() == expected


def test_open_alerts_are_told_worst_first() -> None:
    for metric, severity in (("workers", "info"), ("queue_runs", "critical"), ("runs_running", "warning")):
        make_rule(metric, 1, severity=severity)
    make_rule("debates_running", 1, for_seconds=60, severity="critical")

    alerts.evaluate([measured(2, name) for name in ("workers", "queue_runs", "runs_running", "debates_running")])

    assert [alert.rule.severity for alert in alerts.open_alerts()] == ["critical", "warning", "info"]


def test_somebody_takes_it_in_hand() -> None:
    carol = make_admin()
    make_rule()
    alerts.evaluate([measured(70)])
    alert = Alert.objects.get()

    done = [alerts.acknowledge(alert, by=carol), alerts.acknowledge(alert, by=carol)]

    alert.refresh_from_db()
    assert (done, alert.acknowledged_by, state_of(alert)) == ([True, False], carol, "raised")
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_name, event.subject_id) == ("alert.acknowledged", "carol", str(alert.pk))


def in_two_threads(work: Callable[[], Any]) -> list[Any]:
    """At the same moment, each on a connection of its own."""
    both = Barrier(2)

    def one() -> Any:
        try:
            both.wait(60)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(one), pool.submit(one)]]


@pytest.mark.django_db(transaction=True)
def test_two_evaluators_at_once_raise_one_alert_and_resolve_it_once() -> None:
    make_rule("host_up", 1, comparison="below")
    down = [measured(0, "host_up", host=name) for name in ("attic", "cellar", "garden")]
    up = [measured(1, "host_up", host=name) for name in ("attic", "cellar", "garden")]

    in_two_threads(lambda: alerts.evaluate(down))
    assert states() == [("attic", "raised"), ("cellar", "raised"), ("garden", "raised")]
    in_two_threads(lambda: alerts.evaluate(up))
    assert {state for _, state in states()} == {"raised"}
    later(15)
    in_two_threads(lambda: alerts.evaluate(up))

    assert states() == [("attic", "resolved"), ("cellar", "resolved"), ("garden", "resolved")]
    said = [orjson.loads(fields[b"e"]) for _, fields in sync_redis().xrange(key(alerts.TOPIC))]  # type: ignore[union-attr]
    assert said == [{"type": "alerts"}] * 6


@pytest.mark.django_db(transaction=True)
def test_of_two_who_would_take_a_turn_one_does() -> None:
    first = in_two_threads(lambda: turns.take("test", after=timedelta(hours=1)))
    at_once = in_two_threads(lambda: turns.take("test", after=timedelta(hours=1)))
    Turn.objects.update(at=Now() - timedelta(hours=1, seconds=1))
    afterwards = in_two_threads(lambda: turns.take("test", after=timedelta(hours=1)))

    assert [sorted(each) for each in (first, at_once, afterwards)] == [[False, True], [False, False], [False, True]]


@pytest.mark.django_db(transaction=True)
def test_web_process_evaluates_where_nobody_else_did_for_a_while(redis_server: RedisServer) -> None:
    """Redis is away, so that beat rings for nobody: the web process finds it out, and that a host is down."""
    make_rule("redis_up", 1, comparison="below")
    make_rule("host_up", 1, comparison="below")
    make_host(name="attic", state=Host.State.DOWN)
    alerts.watch()  # as a worker does
    found = [lookout.look()]
    redis_server.kill()
    for silent_for, lately in ((20, 20), (50, 50), (65, 15), (66, 1)):
        Turn.objects.filter(pk="alerts").update(at=Now() - timedelta(seconds=silent_for))
        Turn.objects.filter(pk="lookout").update(at=Now() - timedelta(seconds=lately))
        found.append(lookout.look())

    assert found == [False, False, True, True, False]
    assert states() == [("attic", "raised"), ("", "raised")]
