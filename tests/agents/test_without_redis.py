"""Redis is killed for real: what still works meanwhile, and what comes back by itself."""

from uuid import UUID, uuid4

import pytest
from django.db import transaction

from agents import leases, queue, runs
from agents.breaker import Gates
from agents.models import Run
from agents.runner import Runner
from tests.agents.test_runner import TOPIC, ended, enqueue, events, last_event, spoken
from tests.conftest import RedisServer
from tests.factories import MODEL, make_agent, make_host, make_user
from tests.fake_ollama import FakeOllama, expected_text
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def ask() -> Run:
    with transaction.atomic():
        return runs.enqueue(
            purpose="test",
            subject=uuid4(),
            topic=TOPIC,
            owner=make_user(f"user{uuid4()}"),
            agent=make_agent(model=MODEL),
            messages=[{"role": "user", "content": "hi"}],
        )


def claim(worker: UUID) -> Run:
    (run,) = queue.claim(worker=worker, cursor="5-0", gates=Gates({}, now=0))
    return run


def test_run_is_accepted_cancelled_and_ended_without_redis(redis_server: RedisServer) -> None:
    make_host(max_parallel=1)
    redis_server.kill()
    first, second = ask(), ask()
    worker = leases.register().pk
    assert runs.finish(claim(worker), status=Run.Status.DONE, text="x")
    assert runs.cancel(second)
    assert not queue.tell_positions()
    assert leases.refresh(worker, running=[]) in ([], [second.pk])
    first.refresh_from_db()
    assert (first.status, first.text) == ("done", "x")


def test_cancel_of_a_running_run_reaches_its_worker_by_the_heartbeat(redis_server: RedisServer) -> None:
    make_host()
    run = ask()
    worker = leases.register().pk
    claim(worker)
    redis_server.kill()
    assert runs.cancel(run)
    assert leases.refresh(worker, running=[run.pk]) == [run.pk]


def test_reply_goes_on_and_its_text_is_said_once_redis_is_back(
    runner: Runner, fake: FakeOllama, redis_server: RedisServer
) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=300, rate=100, hold_after=150)
    run = enqueue(runner=runner)
    wait_for(lambda: len(events()) > 2)
    redis_server.kill()
    fake.wait_until(lambda stats: stats.streams[0].tokens == 150)
    redis_server.start()
    fake.release()
    ended(run)
    assert run.text == expected_text(300)
    wait_for(lambda: last_event() == "run.ended")
    said = [event for event in events() if event["type"] == "run.delta"]
    start = said[0]["at"]
    assert 0 < start < len(run.text)
    assert spoken([{**event, "at": event["at"] - start} for event in said], attempt=1) == run.text[start:]


def test_run_asked_for_while_redis_was_away_is_found_by_the_runner(
    runner: Runner, fake: FakeOllama, redis_server: RedisServer
) -> None:
    make_host(models=(MODEL,), base_url=fake.url)
    fake.set_host()
    redis_server.kill()
    run = ask()
    redis_server.start()
    ended(run)
    assert run.error_kind == "model_missing"  # the fake has another: it was asked, and that is the point
