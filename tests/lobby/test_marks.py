"""What is said once when a limit comes near its end."""

from typing import Any

import orjson
import pytest
from django.db import transaction

from lobby.accounts import marks
from lobby.accounts.allowances import Kind
from lobby.live.connections import sync_redis
from lobby.live.streams import key
from monitoring.models import AuditEvent
from tests.conftest import RedisServer
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def said(user: Any) -> list[tuple[str, int]]:
    rows = AuditEvent.objects.filter(action__startswith="limit.", actor=user).order_by("pk")
    return [(row.action, row.detail["percent"]) for row in rows]


def heard(user: Any) -> list[dict[str, Any]]:
    entries: Any = sync_redis().xrange(key(f"user:{user.pk}"))
    return [orjson.loads(entry[1][b"e"]) for entry in entries]


def use(user: Any, *, used: int, limit: int | None = 1000, kind: Kind = Kind.TOKENS_PER_DAY) -> None:
    with transaction.atomic():
        marks.note(user.pk, kind, used=used, limit=limit)


def test_each_mark_is_said_once_to_the_audit_trail_and_to_open_pages() -> None:
    alice = make_user()
    for used in (0, 799, 800, 850, 899, 905, 950, 999, 1000, 1200):
        use(alice, used=used)
    assert said(alice) == [("limit.near", 80), ("limit.near", 90), ("limit.reached", 100)]
    assert heard(alice)[0] == {
        "type": "limit.mark",
        "kind": "tokens_per_day",
        "percent": 80,
        "words": "You have used 80 % of today's tokens; they renew at 00:00 UTC.",
    }
    assert [event["percent"] for event in heard(alice)] == [80, 90, 100]


def test_a_mark_that_is_passed_over_is_not_said() -> None:
    alice = make_user()
    use(alice, used=960)
    assert said(alice) == [("limit.near", 96)]


def test_another_process_does_not_say_it_again() -> None:
    alice = make_user()
    use(alice, used=850)
    marks.forget()
    use(alice, used=860)
    assert said(alice) == [("limit.near", 85)]


def test_what_is_undone_says_nothing() -> None:
    alice = make_user()
    with transaction.atomic():
        marks.note(alice.pk, Kind.TOKENS_PER_DAY, used=900, limit=1000)
        transaction.set_rollback(True)
    assert (said(alice), heard(alice)) == ([], [])


@pytest.mark.parametrize("limit", [None, 0])
def test_without_a_limit_nothing_is_near(limit: int | None) -> None:
    alice = make_user()
    use(alice, used=10, limit=limit)
    assert said(alice) == []


def test_a_refusal_is_kept_once_and_a_crowded_line_makes_no_toast() -> None:
    alice = make_user()
    for _ in range(3):
        marks.refused(alice.pk, Kind.RUNS_QUEUED)
    assert (said(alice), heard(alice)) == ([("limit.reached", 100)], [])


def test_without_redis_it_is_kept_once_per_process(redis_server: RedisServer) -> None:
    alice = make_user()
    redis_server.kill()
    use(alice, used=850)
    use(alice, used=860)
    assert said(alice) == [("limit.near", 85)]


@pytest.mark.parametrize(("used", "percent"), [(0, 0), (999, 99), (1000, 100), (5000, 100)])
def test_percents_are_rounded_down(used: int, percent: int) -> None:
    assert marks.percent_of(used, 1000) == percent
