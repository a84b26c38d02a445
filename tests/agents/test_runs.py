"""The engine against real Postgres and Valkey; its workers are told apart by their ids."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction

from agents import leases, queue, runs
from agents.breaker import Gates
from agents.errors import AgentDisabled, ModelUnavailable, TooManyRuns
from agents.logprobs import likely
from agents.models import Host, Run
from agents.purposes import PURPOSES
from lobby.live.connections import sync_redis
from lobby.live.streams import key
from tests.factories import MODEL, make_agent, make_host, make_user
from tests.waiting import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
OPEN = Gates({}, now=0)


def enqueue(owner: Any, **changes: Any) -> Run:
    defaults: dict[str, Any] = {
        "purpose": "test",
        "subject": uuid4(),
        "topic": "",
        "owner": owner,
        "agent": changes.pop("agent", None) or make_agent(model=MODEL),
        "messages": [{"role": "user", "content": "hi"}],
    }
    with transaction.atomic():
        return runs.enqueue(**defaults | changes)


def claim(worker: UUID | None = None) -> list[Run]:
    return queue.claim(worker=worker or leases.register().pk, cursor="5-0", gates=OPEN)


def in_thread(work: Callable[[], list[Run]]) -> list[Run]:
    try:
        return work()
    finally:
        connection.close()


def test_claim_takes_no_more_than_the_hosts_slots() -> None:
    host, alice = make_host(max_parallel=2), make_user()
    for _ in range(3):
        enqueue(alice)
    first, second = claim()
    assert {first.host, second.host} == {host}
    assert claim() == []


def test_enqueue_resolves_the_model_and_puts_the_agents_options_below_the_callers() -> None:
    make_host(models=("llama3:latest",))
    agent = make_agent(model="llama3", options={"temperature": 0.2, "num_ctx": 2048})
    run = enqueue(make_user(), agent=agent, options={"temperature": 0.9})
    assert (run.model, run.options) == ("llama3:latest", {"temperature": 0.9, "num_ctx": 2048})


def test_runs_put_in_line_together_start_in_the_order_given() -> None:
    make_host(max_parallel=1)
    owner, agent = make_user(), make_agent(model=MODEL)
    prepared = [
        runs.prepared(purpose="test", subject=uuid4(), topic="", owner=owner, agent=agent, messages=[])
        for _ in range(20)
    ]
    runs.put_in_line(prepared)
    assert list(queue.positions()) == prepared
    assert claim() == prepared[:1]


def test_enqueue_for_a_disabled_agent_is_refused_in_words() -> None:
    make_host()
    with pytest.raises(AgentDisabled, match="is switched off"):
        enqueue(make_user(), agent=make_agent(is_active=False))


def test_enqueue_for_a_model_nobody_has_says_which_there_are() -> None:
    make_host(models=("a:1b", "b:2b"))
    with pytest.raises(ModelUnavailable, match=r"No model host has the model llama9\. There are: a:1b, b:2b\."):
        enqueue(make_user(), agent=make_agent(model="llama9"))


def test_enqueue_beyond_the_owners_limit_is_refused_and_writes_nothing(settings: Any) -> None:
    settings.QUEUED_PER_USER = 1
    make_host()
    alice = make_user()
    enqueue(alice)
    with pytest.raises(TooManyRuns, match="1 is the limit") as refusal:
        enqueue(alice)
    assert (refusal.value.retry_after, Run.objects.count()) == (5, 1)


def test_enqueue_beyond_the_hourly_limit_says_when_to_try_again(settings: Any) -> None:
    settings.RUNS_PER_HOUR = 1
    make_host()
    alice = make_user()
    enqueue(alice)
    with pytest.raises(TooManyRuns, match="limit of 1 answers an hour") as refusal:
        enqueue(alice)
    assert 3500 < (refusal.value.retry_after or 0) <= 3600


def test_enqueue_for_who_keeps_a_budget_of_its_own_knows_no_limit(settings: Any) -> None:
    settings.QUEUED_PER_USER = settings.RUNS_PER_HOUR = 1
    make_host()
    alice = make_user()
    enqueue(alice)
    assert enqueue(alice, is_limited=False).status == "queued"


def test_claim_of_a_worker_that_was_declared_dead_gets_nothing() -> None:
    make_host()
    enqueue(make_user())
    assert claim(uuid4()) == []


def test_claim_prefers_priority_then_the_owner_with_fewer_runs_then_age() -> None:
    make_host(max_parallel=5)
    alice, bob = make_user(), make_user("bob")
    background = enqueue(bob, priority=Run.Priority.BACKGROUND)
    first, second, third = enqueue(alice), enqueue(alice), enqueue(bob)
    order = [run.pk for run in queue.line()]
    assert order == [first.pk, third.pk, second.pk, background.pk]


def test_claim_counts_what_an_owner_has_running_already() -> None:
    make_host(max_parallel=1)
    alice, bob = make_user(), make_user("bob")
    enqueue(alice)
    claim()
    second, third = enqueue(alice), enqueue(bob)
    order = [run.pk for run in queue.line()]
    assert order == [third.pk, second.pk]


def test_claim_prefers_a_model_the_host_has_loaded() -> None:
    make_host(models=("a:1b", "b:2b"), loaded={"b:2b": 4096})
    make_agent("a")
    enqueue(make_user(), agent=make_agent(model="a:1b"))
    loaded = enqueue(make_user("bob"), agent=make_agent(model="b:2b"))
    assert [run.pk for run in claim()] == [loaded.pk]


def test_claim_spreads_runs_over_hosts() -> None:
    first, second = make_host(max_parallel=4), make_host(max_parallel=4)
    alice = make_user()
    for _ in range(4):
        enqueue(alice)
    hosts = [run.host for _ in range(4) for run in claim()]
    assert sorted(hosts.count(host) for host in (first, second)) == [2, 2]


def test_claim_leaves_a_run_for_the_host_its_agent_wants() -> None:
    make_host()
    wanted = make_host(is_enabled=True)
    run = enqueue(make_user(), agent=make_agent(model=MODEL, host=wanted))
    (claimed,) = claim()
    assert (claimed.pk, claimed.host) == (run.pk, wanted)


def test_claim_takes_nothing_from_a_disabled_host() -> None:
    host = make_host()
    enqueue(make_user())
    Host.objects.filter(pk=host.pk).update(is_enabled=False)
    assert claim() == []


def test_cancel_ends_a_waiting_run_at_once() -> None:
    make_host()
    run = enqueue(make_user())
    assert runs.cancel(run)
    run.refresh_from_db()
    assert (run.status, run.cancel_requested_at is not None) == ("cancelled", True)


def test_cancel_asks_the_worker_of_a_running_run_and_says_so_on_the_channel() -> None:
    make_host()
    run = enqueue(make_user())
    worker = leases.register()
    claim(worker.pk)
    with sync_redis().pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(runs.CHANNEL)
        pubsub.get_message(timeout=60)
        assert runs.cancel(run)
        message = pubsub.get_message(timeout=60)
    assert message is not None
    assert message["data"].decode() == str(run.pk)
    assert leases.refresh(worker.pk, running=[run.pk]) == [run.pk]


def test_cancel_of_a_run_that_is_over_changes_nothing() -> None:
    make_host()
    run = enqueue(make_user())
    (mine,) = claim()
    assert runs.finish(mine, status=Run.Status.DONE)
    assert not runs.cancel(run)
    run.refresh_from_db()
    assert run.status == "done"


def test_finish_hands_over_once_and_announces_the_end() -> None:
    handed: list[Run] = []
    PURPOSES["test"] = handed.append
    try:
        make_host()
        enqueue(make_user(), topic="chat:x")
        (run,) = claim()
        assert runs.finish(run, status=Run.Status.DONE, text="Hello.")
        assert not runs.finish(run, status=Run.Status.DONE, text="Hello again.")
    finally:
        del PURPOSES["test"]
    assert [(each.pk, each.text, each.status) for each in handed] == [(run.pk, "Hello.", "done")]
    assert sync_redis().xlen(key("chat:x")) == 1


def test_fence_keeps_out_a_worker_that_lost_the_run() -> None:
    make_host()
    enqueue(make_user())
    (old,) = claim()
    runs.requeue_abandoned(live_workers=[])
    (new,) = claim()
    assert not runs.finish(old, status=Run.Status.DONE, text="late")
    runs.save_progress([("late", "", "9-0", None, old.pk, old.worker, old.attempt)])
    runs.save_progress([("new", "", "9-1", 0.5, new.pk, new.worker, new.attempt)])
    new.refresh_from_db()
    assert (new.text, new.cursor, new.attempt, new.status) == ("new", "9-1", 2, "running")


def test_save_progress_sets_the_first_token_once() -> None:
    make_host()
    enqueue(make_user())
    (run,) = claim()
    fence = (run.pk, run.worker, run.attempt)
    runs.save_progress([("a", "", "9-0", 2.0, *fence)])
    run.refresh_from_db()
    first = run.first_token_at
    runs.save_progress([("ab", "", "9-1", 1.0, *fence)])
    run.refresh_from_db()
    assert first is not None
    assert run.first_token_at == first


def test_run_of_a_dead_worker_goes_back_in_line_and_fails_at_the_third_time() -> None:
    make_host()
    run = enqueue(make_user())
    for _ in range(runs.MAX_ATTEMPTS - 1):
        claim()
        assert [each.pk for each in runs.requeue_abandoned(live_workers=[])] == [run.pk]
    claim()
    assert runs.requeue_abandoned(live_workers=[]) == []
    run.refresh_from_db()
    assert (run.status, run.error_kind) == ("failed", "worker_lost")


def test_third_death_keeps_the_text_there_is() -> None:
    make_host()
    run = enqueue(make_user())
    Run.objects.filter(pk=run.pk).update(attempt=2)
    (mine,) = claim()
    runs.save_progress([("half an ans", "", "9-0", 0.1, mine.pk, mine.worker, mine.attempt)])
    runs.requeue_abandoned(live_workers=[])
    run.refresh_from_db()
    assert (run.status, run.text) == ("interrupted", "half an ans")


def test_abandoned_run_that_was_to_be_cancelled_ends_cancelled() -> None:
    make_host()
    run = enqueue(make_user())
    claim()
    runs.cancel(run)
    assert runs.requeue_abandoned(live_workers=[]) == []
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_run_that_another_reaper_took_is_not_told_twice() -> None:
    make_host()
    run = enqueue(make_user())
    claim()
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            Run.objects.filter(pk=run.pk).update(status=Run.Status.QUEUED, worker=None)  # not committed: both found it
            slower = other.submit(in_thread, partial(runs.requeue_abandoned, live_workers=[]))
            wait_for(somebody_waits_for_a_lock)
        assert slower.result() == []


def test_run_of_a_live_worker_is_left_alone() -> None:
    make_host()
    run = enqueue(make_user())
    worker = leases.register()
    claim(worker.pk)
    assert runs.requeue_abandoned(live_workers=[worker.pk]) == []
    run.refresh_from_db()
    assert run.status == "running"


def test_who_asked_is_handed_all_that_was_told_of_a_token_and_the_row_keeps_what_was_likely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed: list[Any] = []
    monkeypatch.setitem(PURPOSES, "test", lambda run: handed.append(run.logprobs))
    make_host()
    enqueue(make_user())
    (run,) = claim()
    told = [{"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": [{"token": "B", "logprob": -9}]}]

    assert runs.finish(run, status=Run.Status.DONE, logprobs=told)

    run.refresh_from_db()
    assert handed == [told]
    assert run.logprobs == likely(told)


def test_pass_on_puts_the_run_in_line_for_another_host_only() -> None:
    failed, other = make_host(max_parallel=2), make_host()
    enqueue(make_user())
    (run,) = claim()
    assert run.host == failed
    assert runs.pass_on(run, failed_host=failed)
    (again,) = claim()
    assert (again.host, again.attempt) == (other, 2)


def test_pass_on_without_another_host_leaves_the_run() -> None:
    host = make_host()
    enqueue(make_user())
    (run,) = claim()
    assert not runs.pass_on(run, failed_host=host)


def test_hand_back_requeues_what_a_leaving_worker_had() -> None:
    make_host()
    run = enqueue(make_user())
    worker = leases.register()
    claim(worker.pk)
    leases.leave(worker.pk)
    run.refresh_from_db()
    assert (run.status, run.worker) == ("queued", None)


def test_fail_waiting_leaves_a_run_that_was_claimed_meanwhile() -> None:
    make_host()
    run = enqueue(make_user())
    claim()
    assert not runs.fail_waiting(run, kind="model_missing", message="gone")


def test_waiting_run_whose_model_is_gone_fails_saying_which_there_are() -> None:
    host = make_host()
    run = enqueue(make_user())
    Host.objects.filter(pk=host.pk).update(installed=[{"name": "b:2b"}])
    assert queue.fail_stranded(gates=OPEN) == 0
    run.refresh_from_db()
    assert (run.error_kind, run.error) == (
        "model_missing",
        f"No model host has the model {MODEL} any more. There are: b:2b.",
    )


def test_ends_are_announced_again_after_a_worker_died() -> None:
    make_host()
    enqueue(make_user(), topic="chat:x")
    (run,) = claim()
    runs.finish(run, status=Run.Status.FAILED, error_kind="model_failed", error="broken")
    runs.announce_recent_ends()
    entries: Any = sync_redis().xrange(key("chat:x"))
    assert [entry[1][b"e"] for entry in entries] == [entries[0][1][b"e"]] * 2
    assert b'"error":"broken"' in entries[0][1][b"e"]


def test_end_without_a_topic_is_not_announced() -> None:
    make_host()
    run = enqueue(make_user())
    runs.announce_end(run)
    assert sync_redis().keys("lobby:stream:*") == []


@pytest.mark.parametrize(("kind", "lines"), [("model_failed", 1), ("", 0)])
def test_end_in_error_stands_in_the_log_with_the_reference_that_is_shown(
    caplog: pytest.LogCaptureFixture, kind: str, lines: int
) -> None:
    make_host()
    enqueue(make_user())
    Run.objects.update(request_id="0123456789abcdef")
    (run,) = claim()

    runs.finish(run, status=Run.Status.FAILED, error_kind=kind, error="It said: a secret.")

    told = [record.getMessage() for record in caplog.records if "run_ended_in_error" in record.getMessage()]
    assert len(told) == lines
    assert all("0123456789abcdef" in line and "a secret" not in line for line in told)
