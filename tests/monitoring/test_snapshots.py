"""Minutes, hours and days of figures, from real rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.models import Host, Run
from debates.models import Debate
from monitoring import history, snapshots
from monitoring.models import Snapshot
from tests.factories import alice, make_host, make_run

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def ended(at: datetime, status: str = Run.Status.DONE, **fields: Any) -> Run:
    return make_run(status=status, queued_at=at - MINUTE, finished_at=at, **fields)


def keep(span: str, at: datetime, **figures: float) -> None:
    Snapshot.objects.create(span=span, at=at, figures={name.replace("__", ":"): each for name, each in figures.items()})


def kept(span: str) -> dict[datetime, dict[str, float]]:
    return dict(Snapshot.objects.filter(span=span).values_list("at", "figures"))


def test_minute_has_what_came_in_it_and_how_it_was_at_its_end() -> None:
    now = snapshots.minute_now()
    make_run(wanted_host=make_host(name="attic"))
    ended(now - MINUTE, output_tokens=70, prompt_tokens=300, first_token_at=now - MINUTE * 2 + timedelta(seconds=3))
    ended(now - timedelta(seconds=1), Run.Status.FAILED, error_kind="model_missing")
    ended(now - MINUTE * 2)
    ended(now + timedelta(seconds=1))
    Debate.objects.create(
        owner=alice(),
        question="Why?",
        protocol="round-table",
        rule="plurality",
        status="ended",
        ended_at=now - MINUTE,
        verdict={"label": "robust"},
    )

    snapshots.take(now)

    figures = kept("minute")[now - MINUTE]
    counters = {name: each for name, each in figures.items() if name.partition(":")[0] in snapshots.COUNTERS}
    assert counters == {
        "runs_finished:done": 1,
        "runs_finished:failed": 1,
        "run_failures:model_missing": 1,
        "tokens_written": 70,
        "tokens_read": 300,
        "runs_asked": 1,
        "debates_ended:robust": 1,
    }
    assert (figures["queue_runs"], figures["queue_runs:attic"], figures["runs_running"]) == (1, 1, 0)
    assert figures["first_token_seconds:0.5"] == 3


def test_minute_is_kept_once() -> None:
    now = snapshots.minute_now()
    snapshots.take(now)
    before = kept("minute")
    make_run()
    snapshots.take(now)

    assert kept("minute") == before


def test_minutes_that_were_missed_get_their_counters() -> None:
    now = snapshots.minute_now()
    keep("minute", now - MINUTE * 4)
    ended(now - MINUTE * 3)

    taken = snapshots.take(now)

    assert (taken, len(kept("minute"))) == (3, 4)
    assert kept("minute")[now - MINUTE * 3] == {"runs_finished:done": 1, "tokens_written": 0, "tokens_read": 0}
    assert kept("minute")[now - MINUTE * 2] == {}


def test_long_absence_is_made_up_for_one_day() -> None:
    now = snapshots.minute_now()
    keep("minute", now - DAY * 3)

    assert snapshots.take(now) == 24 * 60


def test_complete_hours_are_made_of_minutes_and_days_of_hours() -> None:
    noon = datetime(2026, 5, 5, 12, tzinfo=UTC)
    for minutes, queue in ((0, 2), (30, 4)):
        keep("minute", noon - HOUR + MINUTE * minutes, runs_finished__done=5, queue_runs=queue)
    keep("minute", noon, runs_finished__done=1)
    yesterday = noon - HOUR * 36
    keep("hour", yesterday, runs_finished__done=7, runs_finished__failed=1, queue_runs=1)
    keep("hour", yesterday + HOUR * 3, runs_finished__done=3, queue_runs=2)

    for _ in range(2):
        snapshots.thin(noon + MINUTE)

    assert kept("hour")[noon - HOUR] == {"runs_finished:done": 10, "queue_runs": 3}
    assert kept("day") == {yesterday: {"runs_finished:done": 10, "runs_finished:failed": 1, "queue_runs": 1.5}}
    assert noon not in kept("hour")


def test_hour_is_made_of_minutes_as_they_are_taken() -> None:
    noon = datetime(2026, 5, 5, 12, tzinfo=UTC)
    make_host(name="attic", state=Host.State.UP)
    make_host(name="cellar", state=Host.State.DOWN)

    snapshots.take(noon)
    snapshots.thin(noon + MINUTE)

    hour = kept("hour")[noon - HOUR]
    assert (hour["host_up:attic"], hour["host_up:cellar"]) == (1, 0)


def test_old_snapshots_go() -> None:
    now = datetime(2026, 5, 5, 12, 30, tzinfo=UTC)
    ages = {"minute": (HOUR * 24, HOUR * 26), "hour": (DAY * 30, DAY * 32), "day": (DAY * 729, DAY * 731)}
    for span, (young, old) in ages.items():
        keep(span, now - young)
        keep(span, now - old)

    snapshots.thin(now)

    there = {(span, now - age) for span in ages for age in ages[span] if now - age in kept(span)}
    assert there == {(span, now - young) for span, (young, _) in ages.items()}


def test_history_of_a_day_is_five_minute_columns_with_gaps() -> None:
    now = snapshots.minute_now()
    at = datetime.fromtimestamp((int(now.timestamp()) // 300 - 2) * 300, tz=UTC)
    keep("minute", at, runs_finished__done=2, workers=1, tokens_written=60)
    keep("minute", at + MINUTE, workers=3, runs_finished__failed=1)

    day = history.read("24h")

    here = day.at.index(int(at.timestamp()))
    assert (day.step_seconds, len(day.at)) == (300, 287)
    assert {len(column) for column in day.series.values()} == {len(day.at)}
    assert {name: column[here] for name, column in day.series.items()} == {
        "runs_finished:done": 2,
        "runs_finished:failed": 1,
        "tokens_written": 60,
        "workers": 2,
    }
    assert {column[here - 1] for column in day.series.values()} == {None}


def test_history_of_a_month_comes_from_hours() -> None:
    now = snapshots.minute_now()
    at = datetime.fromtimestamp((int(now.timestamp()) // 7200 - 5) * 7200, tz=UTC)
    keep("hour", at, runs_finished__done=4)
    keep("hour", at + HOUR, runs_finished__done=5)

    month = history.read("30d")

    assert (month.step_seconds, month.series["runs_finished:done"][month.at.index(int(at.timestamp()))]) == (7200, 9)


def test_point_that_is_not_over_is_left_out() -> None:
    soon = int(snapshots.minute_now().timestamp()) + 60  # shortly before its end, the next
    keep("minute", datetime.fromtimestamp(soon // 300 * 300, tz=UTC), workers=1)

    assert history.read("24h").series == {}
