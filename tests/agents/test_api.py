from http import HTTPStatus
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.asserts import assertNumQueries

from agents.models import Run
from monitoring.models import AuditEvent
from tests.factories import make_agent, make_host, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


def test_agents_are_listed_in_order_without_those_switched_off_and_without_their_prompts(
    client: Client, alice: User
) -> None:
    make_agent("second", position=2, system_prompt="A secret of the house.")
    make_agent("first", position=1)
    make_agent("off", is_active=False)

    answer = client.get("/api/agents")

    assert [agent["slug"] for agent in answer.json()["items"]] == ["first", "second"]
    assert b"secret of the house" not in answer.content


def test_agent_is_found_by_slug(client: Client, alice: User) -> None:
    make_agent("analyst", name="Analyst", role="analyst", colour="#123456", initials="AN", model="smollm2:135m")

    assert client.get("/api/agents/analyst").json() == {
        "slug": "analyst",
        "name": "Analyst",
        "role": "analyst",
        "description": "",
        "model": "smollm2:135m",
        "colour": "#123456",
        "initials": "AN",
        "votes": True,
        "capabilities": [],
    }


@pytest.mark.parametrize("slug", ["nobody", "off", "a b", "ä", "x" * 5000])
def test_agent_that_is_unknown_or_switched_off_is_not_found(client: Client, alice: User, slug: str) -> None:
    make_agent("off", is_active=False)

    assert client.get(f"/api/agents/{slug}").status_code == HTTPStatus.NOT_FOUND


def test_what_a_silent_run_said_is_not_told_here(client: Client, alice: User) -> None:
    ballot = make_run(owner=alice, topic="", text='{"option": "A"}', thinking="Yes, so A.")

    for answer in (client.get(f"/api/runs/{ballot.pk}"), client.post(f"/api/runs/{ballot.pk}/cancel")):
        assert (answer.status_code, answer.json()["text"], answer.json()["thinking"]) == (HTTPStatus.OK, "", "")


def test_run_says_all_but_its_prompt(client: Client, alice: User) -> None:
    agent, host = make_agent("analyst"), make_host(name="gpu")
    run = make_run(owner=alice, agent=agent, host=host, topic="chat:1", text="It is a loan.")

    said = client.get(f"/api/runs/{run.pk}").json()

    assert (said["id"], said["agent"], said["host"], said["text"]) == (str(run.pk), "analyst", "gpu", "It is a loan.")
    assert "messages" not in said


def test_run_without_agent_or_host_is_shown(client: Client, alice: User) -> None:
    agent = make_agent()
    run = make_run(owner=alice, agent=agent)
    agent.delete()

    said = client.get(f"/api/runs/{run.pk}").json()

    assert (said["agent"], said["host"]) == (None, None)


def test_run_of_another_and_unknown_run_are_not_found_alike(client: Client, alice: User) -> None:
    run = make_run(owner=make_user("bob"))

    one_id = {"X-Request-ID": "one-and-the-same"}
    others, unknown = (client.get(f"/api/runs/{each}", headers=one_id) for each in (run.pk, uuid4()))

    assert others.status_code == unknown.status_code == HTTPStatus.NOT_FOUND
    assert others.json() == unknown.json()


def test_runs_come_in_pages_that_new_ones_do_not_shift(client: Client, alice: User) -> None:
    runs = [make_run(owner=alice) for _ in range(5)]
    make_run(owner=make_user("bob"))
    newest_first = [str(run.pk) for run in Run.objects.filter(owner=alice).order_by("-queued_at", "-id")]

    first = client.get("/api/runs?size=2").json()
    make_run(owner=alice)
    second = client.get("/api/runs", {"size": 2, "cursor": first["next"]}).json()
    third = client.get("/api/runs", {"size": 2, "cursor": second["next"]}).json()

    assert [run["id"] for page in (first, second, third) for run in page["items"]] == newest_first
    assert len(runs) == len(newest_first)
    assert third["next"] is None


def test_runs_are_filtered_by_status(client: Client, alice: User) -> None:
    make_run(owner=alice)
    done = make_run(owner=alice, status=Run.Status.DONE)

    assert [run["id"] for run in client.get("/api/runs?status=done").json()["items"]] == [str(done.pk)]


@pytest.mark.parametrize("cursor", ["nonsense", "e30=", "W251bGwsbnVsbF0=", "WzEsMl0=", "ä", "WyJ4IiwieSJd"])
def test_cursor_that_no_list_gave_out_is_refused(client: Client, alice: User, cursor: str) -> None:
    answer = client.get("/api/runs", {"cursor": cursor})

    assert (answer.status_code, answer.json()["kind"]) == (422, "bad_cursor")


@pytest.mark.parametrize("query", ["size=0", "size=201", "size=x", "status=unknown"])
def test_query_out_of_bounds_is_refused(client: Client, alice: User, query: str) -> None:
    assert client.get(f"/api/runs?{query}").status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_listing_runs_takes_as_many_queries_for_one_as_for_three(client: Client, alice: User) -> None:
    agent, host = make_agent(), make_host()
    make_run(owner=alice, agent=agent, host=host)
    with assertNumQueries(3):  # the session, the user, the runs
        client.get("/api/runs")
    make_run(owner=alice, agent=make_agent(), host=make_host())
    make_run(owner=alice, agent=make_agent(), host=make_host())
    with assertNumQueries(3):
        client.get("/api/runs")


def test_waiting_run_is_cancelled_once_and_recorded_once(client: Client, alice: User) -> None:
    run = make_run(owner=alice)

    first = client.post(f"/api/runs/{run.pk}/cancel")
    second = client.post(f"/api/runs/{run.pk}/cancel")

    assert (first.json()["status"], second.json()["status"]) == ("cancelled", "cancelled")
    assert list(AuditEvent.objects.filter(action="run.cancelled").values_list("subject_id")) == [(str(run.pk),)]


def test_run_of_another_is_not_cancelled(client: Client, alice: User) -> None:
    run = make_run(owner=make_user("bob"))

    assert client.post(f"/api/runs/{run.pk}/cancel").status_code == HTTPStatus.NOT_FOUND
    assert Run.objects.get().status == Run.Status.QUEUED
