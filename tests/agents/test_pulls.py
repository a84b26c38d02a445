"""Pulling models: asked for once, carried out by a worker's runner, told as it goes, stopped, taken up again."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser

from agents import pulls
from agents.breaker import Breakers
from agents.models import Host, Pull, Worker
from agents.pulls import NotPulled
from agents.runner import Runner
from lobby.live.connections import async_redis, sync_redis
from lobby.live.streams import key
from tests.factories import make_admin, make_host, make_user
from tests.fake_ollama import FakeOllama
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
GONE = "pull model manifest: file does not exist"


@pytest.fixture
def host(fake: FakeOllama, transactional_db: None) -> Host:
    return make_host(name="gpu", base_url=fake.url, models=("fake:latest",))


def status(pull: Pull) -> str:
    return Pull.objects.values_list("status", flat=True).get(pk=pull.pk)


def said(host: Host) -> Iterator[pulls.HostPull]:
    import orjson

    for _, fields in sync_redis().xrange(key(f"host:{host.pk}")):  # type: ignore[union-attr]
        yield orjson.loads(fields[b"e"])


def test_pulled_model_is_there_afterwards_and_the_way_was_told(host: Host, runner: Runner, fake: FakeOllama) -> None:
    carol = make_admin()
    pull = pulls.ask(host, " llama3.2:3b ", by=carol)
    wait_for(lambda: status(pull) == Pull.Status.DONE)

    pull.refresh_from_db()
    host.refresh_from_db()
    assert (pull.model, pull.completed, pull.total, pull.asked_by) == ("llama3.2:3b", 100, 100, carol)
    assert host.model_names == ["fake:latest", "llama3.2:3b"]
    wait_for(lambda: [event["status"] for event in said(host)][-1:] == ["done"])
    told = [(event["status"], event["percent"]) for event in said(host)]
    assert (told[0], told[-1]) == (("waiting", None), ("done", 100))


def test_how_far_it_is_can_be_read_by_who_comes_later(host: Host, runner: Runner, fake: FakeOllama) -> None:
    fake.script_pulls(total=4_000, steps=4, hold_after=1)
    pull = pulls.ask(host, "big", by=make_admin())
    fake.wait_until(lambda seen: seen.pulls_open == 1)
    wait_for(lambda: pulls.snapshot(str(host.pk))["pulls"][0]["percent"] == 25)
    (shown,) = pulls.snapshot(str(host.pk))["pulls"]
    assert (shown["model"], shown["status"], shown["completed"]) == ("big", "pulling", 1_000)

    fake.release_pulls()
    wait_for(lambda: status(pull) == Pull.Status.DONE)
    assert pulls.snapshot(str(host.pk))["pulls"][0]["percent"] == 100


def test_stopped_pull_closes_its_connection_and_says_so(host: Host, runner: Runner, fake: FakeOllama) -> None:
    fake.script_pulls(hold_after=1)
    pull = pulls.ask(host, "big", by=make_admin())
    fake.wait_until(lambda seen: seen.pulls_open == 1)

    assert pulls.cancel(pull)

    fake.wait_until(lambda seen: seen.pulls_left == 1)
    wait_for(lambda: status(pull) == Pull.Status.CANCELLED)
    assert not pulls.cancel(pull)


async def test_pull_that_is_told_to_stop_once_more_while_it_ends_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ending, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stopped(*_: object) -> None:
        raise pulls._Stopped

    async def in_database(*_: object) -> None:
        ending.set()
        await may_end.wait()
        ended.set()

    monkeypatch.setattr(pulls.Puller, "_stream", stopped)
    monkeypatch.setattr(pulls, "in_database", in_database)
    task = asyncio.create_task(pulls.Puller(Breakers(async_redis()))._carry_out(Pull(host=Host(), model="big")))
    await ending.wait()
    task.cancel()
    may_end.set()
    async with asyncio.timeout(60):
        await ended.wait()


@pytest.mark.parametrize(
    "script, words",
    [({"error": GONE}, GONE), ({"missing_success": True}, "The host broke off. Pull again: it goes on where it was.")],
)
def test_pull_that_fails_says_why(
    host: Host, runner: Runner, fake: FakeOllama, script: dict[str, object], words: str
) -> None:
    fake.script_pulls(**script)
    pull = pulls.ask(host, "llama9", by=make_admin())
    wait_for(lambda: status(pull) == Pull.Status.FAILED)
    pull.refresh_from_db()
    assert pull.error == words


def test_pull_from_a_host_that_is_not_there_fails_with_words(runner: Runner) -> None:
    pull = pulls.ask(make_host(base_url="http://127.0.0.1:9"), "llama9", by=make_admin())
    wait_for(lambda: status(pull) == Pull.Status.FAILED)
    pull.refresh_from_db()
    assert "127.0.0.1:9" in pull.error


def test_asked_for_twice_it_is_one_pull(host: Host) -> None:
    carol = make_admin()
    assert pulls.ask(host, "big", by=carol).pk == pulls.ask(host, "big", by=carol).pk
    assert pulls.ask(host, "other", by=carol).pk != pulls.ask(make_host(), "other", by=carol).pk


@pytest.mark.parametrize("name", ["", "a b", "../../etc/passwd", "-x", "x" * 121, "a\nb", "http://evil/x", "a:b:c"])
def test_what_is_no_name_of_a_model_is_refused(host: Host, name: str) -> None:
    with pytest.raises(NotPulled, match="Names look like"):
        pulls.ask(host, name, by=make_admin())
    assert Pull.objects.count() == 0


@pytest.mark.parametrize(
    "name", ["llama3.2", "qwen3:8b", "hf.co/bartowski/Llama-3.2-1B-GGUF:Q4_K_M", "localhost:5000/a/b"]
)
def test_names_of_all_registries_are_taken(host: Host, name: str) -> None:
    assert pulls.ask(host, name, by=make_admin()).model == name


def test_demonstration_server_pulls_nothing() -> None:
    with pytest.raises(NotPulled, match="has one model"):
        pulls.ask(make_host(is_embedded=True), "llama3.2", by=make_admin())


def test_waiting_pull_is_stopped_at_once(host: Host) -> None:
    pull = pulls.ask(host, "big", by=make_admin())
    assert pulls.cancel(pull)
    assert status(pull) == Pull.Status.CANCELLED


def test_pull_of_a_worker_that_died_is_taken_up_by_another_and_the_dead_one_writes_nothing(host: Host) -> None:
    dead, alive = uuid4(), Worker.objects.create(machine="here", pid=1).pk
    pull = pulls.ask(host, "big", by=make_admin())
    (lost,) = pulls.claim(worker=dead)

    (taken,) = pulls.claim(worker=alive)

    assert taken.pk == pull.pk
    assert pulls.claim(worker=alive) == []
    assert not pulls.save(lost, completed=50)
    assert pulls.save(taken, completed=50)


def test_topic_of_a_host_is_for_staff_who_may_see_hosts(host: Host) -> None:
    people = [make_admin(), make_user("dave", is_staff=True), make_user("bob"), AnonymousUser()]
    assert [pulls.may_attach(user, str(host.pk)) for user in people] == [True, False, False, False]
    assert not pulls.may_attach(people[0], "7")
