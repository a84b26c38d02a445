"""Counters of monitoring.totals: exact at every look and never falling, whatever becomes of the rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from agents import runs
from agents.models import Run
from chat.models import Conversation
from debates.models import Debate
from lobby import audit
from monitoring import totals
from monitoring.models import Departed, Seal, Total
from monitoring.totals import Counted
from tests.factories import alice, make_agent, make_conversation, make_run

pytestmark = pytest.mark.django_db

OLD = totals.MARGIN + 5  # seconds


def counted(name: str) -> dict[str, float]:
    """The value of each series, by its labels as JSON."""
    return {series.labels: series.value for series in totals.read() if series.name == name}


def total(name: str) -> float:
    return sum(counted(name).values())


def everything() -> dict[tuple[str, str], Counted]:
    """All that is counted, but for the audit trail, which grows with what a test does."""
    return {(each.name, each.labels): each for each in totals.read() if each.name != "audit_events"}


def end(*, ago: float = OLD, status: str = Run.Status.DONE, **fields: Any) -> Run:
    """A run that ended so many seconds ago, after 1 s in line, its first token at 2 s and 3 s on its host."""
    queued = timedelta(seconds=ago + 4)
    times = {
        "queued_at": Now() - queued,
        "started_at": Now() - queued + timedelta(seconds=1),
        "first_token_at": Now() - queued + timedelta(seconds=2),
        "finished_at": Now() - timedelta(seconds=ago),
    }
    defaults = {"prompt_tokens": 100, "output_tokens": 7}
    return make_run(status=status, **defaults | times | fields)


def make_debate(**fields: Any) -> Debate:
    return Debate.objects.create(owner=alice(), question="Why?", protocol="delphi", rule="majority", **fields)


def move_seal(*, ago: float) -> None:
    Seal.objects.update(until=Now() - timedelta(seconds=ago))


def test_ended_runs_are_counted_by_status_and_purpose() -> None:
    end()
    end()
    end(status=Run.Status.FAILED, purpose="chat.reply", error_kind="model_missing")
    make_run()

    assert counted("runs") == {
        '{"status": "done", "purpose": "test"}': 2,
        '{"status": "failed", "purpose": "chat.reply"}': 1,
    }
    assert counted("run_failures") == {'{"kind": "model_missing"}': 1}


def test_tokens_are_counted_by_kind_and_model() -> None:
    end(model="a")
    end(model="a")
    end(model="b", prompt_tokens=None, output_tokens=None)

    assert counted("tokens") == {
        '{"kind": "prompt", "model": "a"}': 200,
        '{"kind": "output", "model": "a"}': 14,
        '{"kind": "prompt", "model": "b"}': 0,
        '{"kind": "output", "model": "b"}': 0,
    }


def test_histograms_hold_the_sum_and_how_many_were_at_most_each_bound() -> None:
    end()
    end(started_at=None, first_token_at=None)

    found = {each.name: each for each in totals.read() if each.buckets}
    assert {name: each.value for name, each in found.items()} == {
        "run_queue_seconds": 1,
        "run_first_token_seconds": 2,
        "run_seconds": 3,
    }
    # at most 0.05, 0.1, 0.25, 0.5 | 1, 2.5, 5, 10, 30, 60, 120, 300, and all
    assert found["run_queue_seconds"].buckets == [0] * 4 + [1] * 9


def test_debates_chats_and_the_audit_trail_are_counted() -> None:
    make_debate(status="ended", ended_at=Now(), stop_reason="consensus", verdict={"label": "strong consensus"})
    make_debate()
    make_conversation()
    before = total("audit_events")
    audit.record("run.cancelled", actor=alice())

    assert counted("debates") == {'{"label": "strong consensus", "protocol": "delphi"}': 1}
    assert counted("debate_stops") == {'{"reason": "consensus"}': 1}
    assert (total("chats"), total("audit_events") - before) == (1, 1)


def test_sealing_changes_no_number() -> None:
    end(model="a")
    end(model="a", ago=1)  # too young to be sealed
    make_conversation(created_at=Now() - timedelta(hours=1))
    Seal.objects.create(until=Now() - timedelta(hours=2))
    before = everything()

    assert totals.seal()

    assert Total.objects.get(name="runs").value == 1
    assert everything() == before


def test_second_seal_adds_to_the_first() -> None:
    end(ago=100)
    totals.seal()
    move_seal(ago=50)
    end(ago=30)
    end(ago=20)
    totals.seal()

    histogram = Total.objects.get(name="run_seconds")
    assert histogram.value == pytest.approx(9, abs=0.1)
    assert histogram.buckets == [0, 0, 0] + [3] * 9
    assert Total.objects.get(name="runs").value == total("runs") == 3


def test_counters_stay_when_sealed_and_unsealed_runs_are_deleted() -> None:
    end(ago=3600, model="a")
    totals.seal()
    end(ago=1, model="a", status=Run.Status.FAILED, error_kind="host_unreachable")
    before = everything()

    Run.objects.all().delete()

    assert everything() == before
    assert Departed.objects.filter(source="run").count() == 1  # the sealed one need not be kept


def test_counters_stay_when_an_account_goes_with_all_it_owns() -> None:
    end(ago=1)
    make_conversation()
    make_debate(status="ended", ended_at=Now(), verdict={"label": "split", "text": "what they said"})
    before = everything()

    Conversation.objects.all().delete()
    alice().delete()

    assert everything() == before
    assert "what they said" not in str(list(Departed.objects.values_list("columns", flat=True)))


def test_repeated_run_ends_twice() -> None:
    run = end(ago=1, status=Run.Status.FAILED, error_kind="host_unreachable")

    assert runs.repeat(run)
    assert total("runs") == 1
    Run.objects.update(status=Run.Status.DONE, finished_at=Now())

    assert counted("runs") == {
        '{"status": "failed", "purpose": "test"}': 1,
        '{"status": "done", "purpose": "test"}': 1,
    }


def test_departed_rows_are_forgotten_once_they_are_in_the_totals() -> None:
    end()
    Run.objects.all().delete()
    totals.seal()

    assert (total("runs"), Departed.objects.filter(source="run").count()) == (1, 0)


def test_reader_seals_what_the_beat_has_left_too_long() -> None:
    end(ago=3600)
    totals.read()

    assert Total.objects.get(name="runs").value == 1


@pytest.mark.django_db(transaction=True)
def test_run_that_is_committed_late_is_counted_once() -> None:
    """It ended, by its own clock, well before the seal would be set; the transaction was still open then."""
    run = make_run()
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(status="done", finished_at=Now())
        in_a_thread(lambda: totals.seal(margin=0))
    run.refresh_from_db()
    assert run.finished_at is not None
    assert Seal.objects.get().until <= run.finished_at

    in_a_thread(lambda: totals.seal(margin=0))
    assert Seal.objects.get().until > run.finished_at
    assert total("runs") == 1


@pytest.mark.django_db(transaction=True)
def test_only_one_seals_at_a_time() -> None:
    results: list[bool] = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [totals.SEALING])
        in_a_thread(lambda: results.append(totals.seal()))
    in_a_thread(lambda: results.append(totals.seal()))

    assert results == [False, True]


@pytest.mark.django_db(transaction=True)
def test_counters_never_fall_and_miss_nothing_while_all_of_it_happens_at_once() -> None:
    """Runs end, are repeated and are deleted in three threads, a fourth seals; until it has sealed some of them."""
    owner, agent, over = alice(), make_agent(), Event()
    ends: list[int] = []

    def work() -> None:
        number = 0
        while not over.is_set():
            run = make_run(owner=owner, agent=agent)
            waiting = Run.objects.filter(pk=run.pk)
            number += waiting.update(status=Run.Status.FAILED, finished_at=Now())
            if number % 3 == 0:
                runs.repeat(run)
                number += waiting.update(status=Run.Status.DONE, finished_at=Now())
            if number % 2 == 0:
                waiting.delete()
        ends.append(number)

    def keep_sealing() -> None:
        while not over.is_set():
            totals.seal(margin=1)

    looks = [0.0]
    with threads(work, work, work, keep_sealing):
        try:
            while sum(Total.objects.filter(name="runs").values_list("value", flat=True)) < 30:
                looks.append(total("runs"))
        finally:
            over.set()

    assert looks == sorted(looks)
    assert total("runs") == sum(ends)


@contextmanager
def threads(*works: Callable[[], object]) -> Iterator[None]:
    """Each on a connection of its own, until all of them are over."""
    running = [Thread(target=on_its_connection, args=[work]) for work in works]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        for thread in running:
            thread.join()


def on_its_connection(work: Callable[[], object]) -> None:
    work()
    connection.close()


def in_a_thread(work: Callable[[], object]) -> None:
    with threads(work):
        pass
