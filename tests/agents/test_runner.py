"""The runner on a real event loop, against the fake Ollama, real Postgres and real Valkey."""

from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import transaction

from agents import leases, runs
from agents.models import Host, Run, Worker
from agents.purposes import PURPOSES
from agents.runner import Runner
from lobby.live.connections import sync_redis
from lobby.live.streams import key
from tests.factories import make_agent, make_host, make_user
from tests.fake_ollama import FakeOllama, expected_text
from tests.waiting import wait_for

TOPIC = "chat:5f0e0f5e-0000-4000-8000-000000000001"


def enqueue(*, runner: Runner, **changes: Any) -> Run:
    with transaction.atomic():
        run = runs.enqueue(
            purpose="test",
            subject=uuid4(),
            topic=changes.pop("topic", TOPIC),
            owner=changes.pop("owner", None) or make_user(f"user{uuid4()}"),
            agent=changes.pop("agent", None) or make_agent(model="fake:latest"),
            messages=[{"role": "user", "content": "hi"}],
            **changes,
        )
    runner.ring()
    return run


def ended(run: Run) -> Run:
    def over() -> bool:
        run.refresh_from_db()
        return run.is_over

    wait_for(over)
    return run


def events(topic: str = TOPIC) -> list[dict[str, Any]]:
    entries: Any = sync_redis().xrange(key(topic))
    return [orjson.loads(fields[b"e"]) for _, fields in entries]


def last_event() -> str:
    """The type of what was said last; the row may know of an end before the stream does."""
    said = events()
    return said[-1]["type"] if said else ""


def spoken(said: list[dict[str, Any]], *, attempt: int) -> str:
    """The text as a browser builds it: every delta has to begin where the text so far ends."""
    text = ""
    for event in said:
        if event["type"] == "run.delta" and event["attempt"] == attempt:
            assert event["at"] == len(text)
            text += event["text"]
    return text


def test_reply_reaches_the_row_and_the_stream_whole_and_in_order(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=300, rate=400, thinking=20)
    run = ended(enqueue(runner=runner))
    wait_for(lambda: last_event() == "run.ended")
    said = events()
    assert (run.status, run.text, run.output_tokens, run.done_reason) == ("done", expected_text(300), 320, "stop")
    assert spoken(said, attempt=1) == expected_text(300)
    assert [event["type"] for event in said if event["type"] in ("run.started", "run.ended")] == [
        "run.started",
        "run.ended",
    ]
    assert run.first_token_ms is not None
    assert said[-1]["stats"]["output_tokens"] == 320


def test_text_waits_for_redis_and_comes_whole(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=100, rate=100, hold_after=50)
    run = enqueue(runner=runner)
    wait_for(lambda: len(events()) > 2)
    sync_redis().execute_command(  # type: ignore[no-untyped-call]
        "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"
    )
    fake.release()
    ended(run)
    assert run.text == expected_text(100)
    wait_for(lambda: last_event() == "run.ended")
    assert spoken(events(), attempt=1) == expected_text(100)


def test_snapshot_goes_with_its_cursor(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=1000, rate=100, hold_after=500)
    run = enqueue(runner=runner)

    def snapshot() -> bool:
        run.refresh_from_db()
        return bool(run.text)

    wait_for(snapshot)
    entries: Any = sync_redis().xrange(key(TOPIC), max=run.cursor)
    said = [orjson.loads(fields[b"e"]) for _, fields in entries]
    assert spoken(said, attempt=1) == run.text
    runs.cancel(run)
    ended(run)


@pytest.mark.parametrize("delay", [0.0, 600.0])
def test_cancel_closes_the_models_connection(runner: Runner, fake: FakeOllama, delay: float) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=20, first_token_delay=delay, hold_after=10)
    run = enqueue(runner=runner)
    fake.wait_until(lambda stats: stats.open_now == 1)
    wait_for(lambda: delay or spoken(events(), attempt=1))
    runs.cancel(run)
    fake.wait_until(lambda stats: stats.open_now == 0 and stats.disconnects == 1)
    ended(run)
    wait_for(lambda: last_event() == "run.ended")
    assert (run.status, run.text) == ("cancelled", spoken(events(), attempt=1))
    assert bool(run.text) == (delay == 0)


def test_no_more_runs_at_once_than_the_host_has_slots(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url, max_parallel=2)
    fake.script(tokens=20, hold_after=1)
    owner = make_user()
    asked = [enqueue(runner=runner, owner=owner) for _ in range(6)]
    fake.wait_until(lambda stats: stats.open_now == 2)
    fake.release()
    for run in asked:
        assert ended(run).status == "done"
    assert fake.stats.max_open == 2


def last_place(topic: str) -> int | None:
    """Before the first is claimed, the others may have been told one place more."""
    return next((event.get("position") for event in reversed(events(topic))), None)


def test_waiting_runs_are_told_their_place(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url, max_parallel=1)
    fake.script(hold_after=1)
    owner = make_user()
    first, second, third = (enqueue(runner=runner, owner=owner, topic=f"chat:{n}") for n in range(3))
    wait_for(lambda: last_place("chat:2") == 2)
    assert last_place("chat:1") == 1
    runs.cancel(second)
    runner.ring()
    wait_for(lambda: last_place("chat:2") == 1)
    runs.cancel(third)
    runs.cancel(first)
    ended(first)


def test_busy_host_is_tried_again_before_the_first_token(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=5)
    fake.script(status=503, times=2)
    assert ended(enqueue(runner=runner)).text == expected_text(5)


def test_failing_model_is_tried_again_once(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(status=500, body='{"error":"tensor is damaged"}')
    run = ended(enqueue(runner=runner))
    assert (run.status, run.error_kind, run.error) == ("failed", "model_failed", "tensor is damaged")
    assert fake.stats.requests["/api/chat"] == 2


def test_callers_fault_is_not_tried_again(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(status=400, body='{"error":"no such thing"}')
    run = ended(enqueue(runner=runner))
    assert (run.status, run.error_kind) == ("failed", "bad_request")
    assert fake.stats.requests["/api/chat"] == 1


def test_stream_that_breaks_keeps_its_text_and_is_not_repeated(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=50, cut_after=10)
    run = ended(enqueue(runner=runner))
    assert (run.status, run.error_kind, run.text) == ("interrupted", "stream_cut", expected_text(10))
    assert fake.stats.requests["/api/chat"] == 1


def test_unreachable_host_is_left_for_another_that_has_the_model(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url="http://127.0.0.1:9", max_parallel=2)
    other = make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=5)
    run = ended(enqueue(runner=runner))
    assert (run.status, run.host, run.attempt, run.text) == ("done", other, 2, expected_text(5))


def test_host_that_lost_the_model_is_left_for_another_that_has_it(runner: Runner, fake: FakeOllama) -> None:
    with FakeOllama(["another:latest"]) as poor:
        make_host(models=("fake:latest",), base_url=poor.url, max_parallel=2)
        other = make_host(models=("fake:latest",), base_url=fake.url)
        fake.script(tokens=5)
        run = ended(enqueue(runner=runner))
    assert (run.status, run.host, run.text) == ("done", other, expected_text(5))


def test_model_missing_everywhere_says_what_the_host_has(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("gone:1b",), base_url=fake.url)
    run = ended(enqueue(runner=runner, agent=make_agent(model="gone:1b")))
    assert (run.error_kind, "fake:latest" in run.error) == ("model_missing", True)


def test_breaker_opens_and_says_when_the_host_is_tried_again(runner: Runner) -> None:
    make_host(models=("fake:latest",), base_url="http://127.0.0.1:9")
    owner = make_user()
    for _ in range(2):
        assert ended(enqueue(runner=runner, owner=owner)).error_kind == "host_unreachable"
    run = ended(enqueue(runner=runner, owner=owner))
    assert (run.error_kind, run.attempt) == ("host_unreachable", 0)
    assert "It is tried again in " in run.error


def test_worker_declared_dead_drops_its_streams_and_registers_anew(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=40, rate=100)
    fake.script(hold_after=1, times=1)
    run = enqueue(runner=runner)
    fake.wait_until(lambda stats: stats.open_now == 1)
    first = Worker.objects.get().pk
    with transaction.atomic():  # else the worker may find out in between, and reap by itself
        Worker.objects.all().delete()
        assert [each.pk for each in leases.reap()] == [run.pk]
    assert ended(run).text == expected_text(40)
    assert (run.attempt, Worker.objects.get().pk != first) == (2, True)
    wait_for(lambda: last_event() == "run.ended")
    assert spoken(events(), attempt=2) == expected_text(40)


def test_clean_stop_hands_the_runs_back(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(hold_after=1)
    run = enqueue(runner=runner)
    fake.wait_until(lambda stats: stats.open_now == 1)
    runner.stop()
    run.refresh_from_db()
    assert (run.status, run.worker, Worker.objects.count()) == ("queued", None, 0)
    fake.wait_until(lambda stats: stats.open_now == 0)


def test_claim_whose_answer_was_lost_goes_back_in_line(runner: Runner, fake: FakeOllama) -> None:
    host = make_host(models=("fake:latest",), base_url=fake.url)
    wait_for(Worker.objects.exists)
    Host.objects.filter(pk=host.pk).update(max_parallel=1)
    run = enqueue(runner=runner)
    assert ended(run).status == "done"
    Run.objects.filter(pk=run.pk).update(status="running", started_at="2020-01-01T00:00Z", finished_at=None)
    assert ended(run).attempt == 2


def test_cold_model_is_said_to_be_loading(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.set_host(unload=True)
    for _ in range(2):
        ended(enqueue(runner=runner))
        wait_for(lambda: last_event() == "run.ended")
    assert [event["loading"] for event in events() if event["type"] == "run.started"] == [True, False]


def test_handler_that_fails_ends_the_run_all_the_same(runner: Runner, fake: FakeOllama) -> None:
    def fail(run: Run) -> None:
        raise ZeroDivisionError

    PURPOSES["test"] = fail
    try:
        make_host(models=("fake:latest",), base_url=fake.url)
        fake.script(tokens=3)
        run = ended(enqueue(runner=runner))
    finally:
        del PURPOSES["test"]
    assert (run.status, run.error_kind, run.text) == ("failed", "internal", expected_text(3))


def test_nul_in_a_reply_is_left_out(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=["a", "\x00", "b"])
    assert ended(enqueue(runner=runner)).text == "ab"


def test_huge_reply_comes_whole(runner: Runner, fake: FakeOllama) -> None:
    make_host(models=("fake:latest",), base_url=fake.url)
    fake.script(tokens=["0123456789abcdef" * 64] * 1024)
    run = ended(enqueue(runner=runner))
    assert len(run.text) == 1024 * 1024
    wait_for(lambda: last_event() == "run.ended")
    assert spoken(events(), attempt=1) == run.text
