"""Hosts in the admin: what they hold, pulls, unloading, draining, and addresses that are no Ollama."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from agents import hosts
from agents.models import Host, Pull
from monitoring.models import AuditEvent
from tests.factories import make_admin, make_host, make_run, make_user
from tests.fake_ollama import FakeOllama, load_recording

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def carol(client: Client) -> User:
    user = make_admin()
    client.force_login(user)
    return user


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama(["fake:latest"]) as server:
        yield server


@pytest.fixture
def host(fake: FakeOllama, transactional_db: None) -> Host:
    host = make_host(name="gpu", base_url=fake.url, installed=[])
    hosts.probe_now([host])
    return Host.objects.get()


def do(client: Client, host: Host, way: str, **fields: str) -> Any:
    return client.post(f"/admin/agents/host/{host.pk}/{way}/", fields)


def recorded() -> list[tuple[str, Any]]:
    rows = AuditEvent.objects.filter(action__startswith="host.").order_by("pk")
    return list(rows.values_list("action", "detail"))


def test_page_shows_what_the_host_holds_and_what_is_in_memory(client: Client, carol: User, host: Host) -> None:
    page = client.get(f"/admin/agents/host/{host.pk}/change/").content.decode()

    for words in ("fake:latest", "93.8\xa0MB", "134.52M Q4_1", "8,192 tokens", "yes, 4,096 tokens", "Unload"):
        assert words in page


def test_unloaded_model_is_out_of_memory_and_the_page_knows(client: Client, carol: User, host: Host) -> None:
    assert do(client, host, "unload", model="fake:latest").status_code == 204

    host.refresh_from_db()
    assert host.loaded == {}
    assert "Unload" not in client.get(f"/admin/agents/host/{host.pk}/models/").content.decode()
    assert recorded() == [("host.model_unloaded", {"model": "fake:latest"})]


def test_what_is_not_in_memory_cannot_be_unloaded(client: Client, carol: User, host: Host) -> None:
    answer = do(client, host, "unload", model="llama9")
    assert (answer.status_code, answer.json()["detail"]) == (422, "This host does not hold that model in memory.")


def test_host_that_is_gone_says_so_when_it_is_to_unload(
    client: Client, carol: User, host: Host, fake: FakeOllama
) -> None:
    fake.refuse(cut_open=True)
    answer = do(client, host, "unload", model="fake:latest")
    assert answer.status_code == 422
    assert host.base_url.removeprefix("http://") in answer.json()["detail"]
    assert recorded() == []


def test_pull_is_asked_for_shown_and_stopped(client: Client, carol: User, host: Host) -> None:
    assert do(client, host, "pull", model="llama3.2:3b").status_code == 204
    pull = Pull.objects.get()
    assert (pull.model, pull.asked_by, pull.status) == ("llama3.2:3b", carol, Pull.Status.WAITING)
    assert '"model": "llama3.2:3b"' in client.get(f"/admin/agents/host/{host.pk}/change/").content.decode()

    assert do(client, host, "stop-pull", model="llama3.2:3b").status_code == 204
    pull.refresh_from_db()
    assert pull.status == Pull.Status.CANCELLED
    model = {"model": "llama3.2:3b"}
    assert recorded() == [("host.pull_asked", model), ("host.pull_stopped", model)]


def test_nonsense_is_not_pulled(client: Client, carol: User, host: Host) -> None:
    answer = do(client, host, "pull", model="a b")
    assert answer.status_code == 422
    assert "Names look like" in answer.json()["detail"]
    assert recorded() == []


@pytest.mark.parametrize("way", ["probe", "pull", "stop-pull", "unload"])
def test_who_may_only_look_changes_nothing(client: Client, host: Host, way: str) -> None:
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.add(Permission.objects.get(codename="view_host"))
    client.force_login(dave)

    assert do(client, host, way, model="fake:latest").status_code == 404
    assert client.get(f"/admin/agents/host/{host.pk}/models/").status_code == 200
    assert "data-way" not in client.get(f"/admin/agents/host/{host.pk}/change/").content.decode()


def test_draining_host_says_how_many_replies_are_left(client: Client, carol: User, host: Host) -> None:
    make_run(host=host, status="running")
    make_run(host=host, status="running")
    chosen = {"action": "drain", "_selected_action": [str(host.pk)]}
    page = client.post("/admin/agents/host/", chosen, follow=True).content.decode()

    assert "Drained: gpu." in page
    assert "draining, 2 left" in page
    client.post("/admin/agents/host/", chosen | {"action": "stop_draining"})
    host.refresh_from_db()
    assert not host.is_draining
    assert recorded() == [("host.drained", {}), ("host.in_use_again", {})]


HTML = load_recording("root")
HTML["response"] |= {"status": 502, "chunks": [[0, "<html><body>Hello</body></html>"]]}


@pytest.mark.parametrize(
    "recorded, words",
    [
        (HTML, "A page of HTML came instead of an answer"),
        (load_recording("foreign-host"), "The host refuses requests under this name"),
    ],
)
def test_address_that_is_no_ollama_is_said_to_be_down_with_the_reason(
    client: Client, carol: User, fake: FakeOllama, recorded: Any, words: str
) -> None:
    form = {"name": "web", "base_url": fake.url, "max_parallel": "1", "is_enabled": "on"}
    fake.replay(recorded)
    page = client.post("/admin/agents/host/add/", form, follow=True).content.decode()

    assert words in page
    assert Host.objects.get(name="web").state == Host.State.DOWN


def test_changed_host_is_probed_and_waiting_runs_are_tried_again(client: Client, carol: User, host: Host) -> None:
    form = {"name": "gpu two", "base_url": host.base_url, "max_parallel": "3", "is_enabled": "on"}
    page = client.post(f"/admin/agents/host/{host.pk}/change/", form, follow=True).content.decode()
    assert "gpu two: up" in page
