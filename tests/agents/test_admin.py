from http import HTTPStatus
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, Host, Run, Worker
from monitoring.models import AuditEvent
from tests.factories import make_admin, make_agent, make_host, make_run, make_user
from tests.fake_ollama import FakeOllama

pytestmark = pytest.mark.django_db


@pytest.fixture
def carol(client: Client) -> User:
    user = make_admin()
    client.force_login(user)
    return user


def act(client: Client, model: str, action: str, *keys: object) -> Any:
    return client.post(f"/admin/agents/{model}/", {"action": action, "_selected_action": [str(key) for key in keys]})


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def recorded() -> QuerySet[AuditEvent]:
    """What stands in the audit trail besides carol's coming in."""
    return AuditEvent.objects.exclude(action="session.signed_in").order_by("pk")


AGENT = {
    "slug": "critic",
    "name": "Critic",
    "role": "skeptic",
    "system_prompt": "You doubt.",
    "options": '{"temperature": 0.5}',
    "think": "unknown",
    "capabilities": '["completion"]',
    "colour": "#112233",
    "initials": "CR",
    "position": "5",
    "is_active": "on",
}


def test_agent_is_added_and_changed_and_both_are_recorded(client: Client, carol: User) -> None:
    client.post("/admin/agents/agent/add/", AGENT)
    agent = Agent.objects.get()
    client.post(f"/admin/agents/agent/{agent.pk}/change/", AGENT | {"name": "Doubter"})

    assert Agent.objects.get().name == "Doubter"
    rows = recorded().filter(subject_id=str(agent.pk))
    assert [(row.action, row.actor_name) for row in rows] == [("agent.added", "carol"), ("agent.changed", "carol")]
    assert rows[1].detail["changes"][0]["changed"]["fields"][0] == "Name"


@pytest.mark.parametrize("field, wrong", [("colour", "red; }"), ("slug", "a b"), ("options", "{"), ("slug", "a\0b")])
def test_agent_with_nonsense_is_refused(client: Client, carol: User, field: str, wrong: str) -> None:
    answer = client.post("/admin/agents/agent/add/", AGENT | {field: wrong})

    assert list(answer.context["adminform"].errors) == [field]
    assert Agent.objects.count() == 0


def test_deleting_an_agent_is_recorded_and_keeps_its_runs(client: Client, carol: User) -> None:
    run = make_run(agent=make_agent("critic", name="Critic"))
    client.post(f"/admin/agents/agent/{run.agent_id}/delete/", {"post": "yes"})

    assert Run.objects.get().agent is None
    assert recorded().get().detail == {"name": "Critic"}


@pytest.mark.parametrize(
    "url",
    ["ftp://gpu", "http://169.254.169.254", "http://", "http://a b", "http://me:secret@gpu:1", "javascript:x", "gpu:1"],
)
def test_host_address_that_is_none_is_refused(client: Client, carol: User, url: str) -> None:
    answer = client.post("/admin/agents/host/add/", {"name": "gpu", "base_url": url, "max_parallel": "1"})

    assert list(answer.context["adminform"].errors) == ["base_url"]


@pytest.mark.parametrize("url", ["http://ollama:11434", "https://gpu.example/ollama/", "http://[::1]:11434"])
def test_host_address_of_any_network_is_taken(url: str) -> None:
    make_host(base_url=url).full_clean()


@pytest.mark.django_db(transaction=True)
def test_new_host_is_probed_at_once(client: Client, carol: User) -> None:
    with FakeOllama(["fake:latest"]) as fake:
        form = {"name": "gpu", "base_url": fake.url, "max_parallel": "2", "is_enabled": "on"}
        client.post("/admin/agents/host/add/", form)

    host = Host.objects.get()
    assert (host.state, host.model_names, host.max_parallel) == (Host.State.UP, ["fake:latest"], 2)


@pytest.mark.django_db(transaction=True)
def test_probe_now_tells_what_it_found_of_each_host(client: Client, carol: User) -> None:
    with FakeOllama(["fake:latest"]) as fake:
        up = make_host(name="a", base_url=fake.url, state=Host.State.UNKNOWN, installed=[])
        down = make_host(name="b", base_url="http://127.0.0.1:9")
        answer = act(client, "host", "probe_now", up.pk, down.pk)

    assert [host.state for host in Host.objects.order_by("name")] == [Host.State.UP, Host.State.DOWN]
    first, second = said(answer)
    assert first == "a: up"
    assert second.startswith("b: down ")


def test_what_a_probe_found_cannot_be_entered(client: Client, carol: User) -> None:
    host = make_host(version="0.1")
    form = {"name": "gpu", "base_url": host.base_url, "max_parallel": "1", "version": "9.9", "installed": "[]"}
    client.post(f"/admin/agents/host/{host.pk}/change/", form)

    host.refresh_from_db()
    assert (host.name, host.version, host.model_names) == ("gpu", "0.1", ["smollm2:135m"])


def test_runs_are_shown_without_what_was_said_in_them(client: Client, carol: User) -> None:
    run = make_run(
        text="private words", thinking="private words", messages=[{"role": "user", "content": "private words"}]
    )

    for path in ("/admin/agents/run/", f"/admin/agents/run/{run.pk}/change/"):
        page = client.get(path)
        assert page.status_code == HTTPStatus.OK
        assert b"private words" not in page.content


def test_frozen_prompt_is_a_page_of_its_own_whose_reading_is_recorded(client: Client, carol: User) -> None:
    prompt = [{"role": "system", "content": "Be <b>brief</b>."}, {"role": "user", "content": "Why?"}]
    run = make_run(
        owner=make_user("alice"), messages=prompt, text="Because.", thinking="Hm.", format={"type": "object"}
    )

    page = client.get(f"/admin/agents/run/{run.pk}/prompt/").content.decode()

    for words in ("Be &lt;b&gt;brief&lt;/b&gt;.", "Why?", "Because.", "Hm.", "object"):
        assert words in page
    assert "This run belongs to alice. That you read it has been recorded" in page
    row = recorded().get()
    assert (row.action, row.subject_id, row.detail) == ("run.read", str(run.pk), {"owner": run.owner_id})


def test_who_may_not_see_runs_reads_no_prompt(client: Client) -> None:
    run = make_run()
    client.force_login(make_user("dave", is_staff=True))

    assert client.get(f"/admin/agents/run/{run.pk}/prompt/").status_code == HTTPStatus.NOT_FOUND
    assert recorded().count() == 0


@pytest.mark.parametrize(
    "asked, found",
    [
        ("purpose=trial", 1),
        ("model=rare:1b", 1),
        ("error_kind=stalled", 1),
        ("status__exact=failed", 1),
        ("status__exact=running", 0),
        ("purpose=chat.reply", 0),
    ],
)
def test_runs_are_filtered(client: Client, carol: User, asked: str, found: int) -> None:
    make_run(purpose="trial", model="rare:1b", error_kind="stalled", status=Run.Status.FAILED)
    make_run()
    make_agent(model="rare:1b")

    page = client.get(f"/admin/agents/run/?{asked}")

    assert page.context["cl"].result_count == found
    assert "kind of error" in page.content.decode()


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    return len(queries)


def test_run_list_takes_as_many_queries_for_one_as_for_three(client: Client, carol: User) -> None:
    make_run(owner=carol, host=make_host())
    for_one = queries_of(client, "/admin/agents/run/")
    make_run(owner=make_user("alice"), host=make_host())
    make_run(owner=make_user("bob"), host=make_host())

    assert queries_of(client, "/admin/agents/run/") == for_one


def test_page_of_a_run_names_hosts_and_worker_and_says_options_in_words(client: Client, carol: User) -> None:
    host = make_host(name="slow host")
    worker = Worker.objects.create(machine="attic", pid=77)
    run = make_run(
        options={"num_ctx": 4096, "temperature": 0.5},
        think=False,
        worker=worker.pk,
        avoided_hosts=[str(host.pk)],
        error_detail={"n_prompt_tokens": 9000},
    )
    page = client.get(f"/admin/agents/run/{run.pk}/change/").content.decode()
    for words in ("num ctx: 4096; temperature: 0.5", "attic:77", "slow host", "n prompt tokens: 9000"):
        assert words in page
    assert str(host.pk) not in page

    worker.delete()
    assert "which is gone" in client.get(f"/admin/agents/run/{run.pk}/change/").content.decode()


def test_run_cannot_be_edited_or_deleted(client: Client, carol: User) -> None:
    run = make_run()

    assert client.post(f"/admin/agents/run/{run.pk}/change/", {"model": "x"}).status_code == HTTPStatus.FORBIDDEN
    assert client.post(f"/admin/agents/run/{run.pk}/delete/", {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
    assert client.get("/admin/agents/run/add/").status_code == HTTPStatus.FORBIDDEN


def test_cancel_stops_those_not_over_and_records_whose_they_were(client: Client, carol: User) -> None:
    alice = make_user()
    waiting, done = make_run(owner=alice), make_run(owner=alice, status=Run.Status.DONE)

    answer = act(client, "run", "cancel", waiting.pk, done.pk)

    assert said(answer) == ["Cancelled: 1. Already over: 1."]
    waiting.refresh_from_db()
    assert waiting.status == Run.Status.CANCELLED
    row = recorded().get()
    assert (row.action, row.subject_id, row.detail) == ("run.cancelled", str(waiting.pk), {"owner": alice.pk})


def test_retry_puts_failed_ones_back_in_line_and_no_others(client: Client, carol: User) -> None:
    failed = make_run(status=Run.Status.FAILED, attempt=3, error_kind="worker_lost", error="It died.")
    done = make_run(owner=failed.owner, status=Run.Status.DONE)

    answer = act(client, "run", "retry", failed.pk, done.pk)

    assert said(answer) == ["Back in line: 1. Not failed: 1."]
    failed.refresh_from_db()
    assert (failed.status, failed.attempt, failed.error_kind) == (Run.Status.QUEUED, 3, "")
    assert recorded().get().action == "run.retried"


def test_staff_who_may_only_look_gets_no_actions(client: Client) -> None:
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.add(Permission.objects.get(codename="view_run"))
    client.force_login(dave)
    run = make_run()

    assert client.get("/admin/agents/run/").status_code == HTTPStatus.OK
    act(client, "run", "cancel", run.pk)

    assert Run.objects.get().status == Run.Status.QUEUED
