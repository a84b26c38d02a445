from http import HTTPStatus

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from debates import records
from debates.models import Debate
from debates.protocols import PROTOCOLS
from monitoring.models import AuditEvent
from tests.debates.rows import make_debate, make_injection, make_round
from tests.factories import make_admin, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def carol(client: Client) -> Client:
    client.force_login(make_admin())
    return client


def page_of(client: Client, debate: Debate) -> str:
    answer = client.get(f"/admin/debates/debate/{debate.pk}/change/")
    assert answer.status_code == HTTPStatus.OK
    return answer.content.decode()


def test_reading_a_transcript_is_recorded_with_reader_and_owner(carol: Client) -> None:
    debate = make_debate(question="Is <b>she</b> ill?", votes=["AB-"])
    make_injection(debate, text="The fever rose.")
    page = page_of(carol, debate)
    for words in (
        "Is &lt;b&gt;she&lt;/b&gt; ill?",
        "Analyst speaks in round 0.",
        "The fever rose.",
        "abstained: chosen",
    ):
        assert words in page
    row = AuditEvent.objects.get(action="debate.read")
    assert (row.actor_name, row.subject_id, row.detail) == ("carol", str(debate.pk), {"owner": debate.owner_id})


def test_reader_is_told_that_it_was_recorded_and_whose_it_is(carol: Client) -> None:
    page = page_of(carol, make_debate(owner=make_user("bob")))
    assert "This debate belongs to bob. That you read it has been recorded in the audit log." in page


@pytest.mark.parametrize("asked, found", [("?protocol=round-table", 1), ("?protocol=delphi", 0), ("?rule=majority", 0)])
def test_debates_are_filtered_by_protocol_and_rule(carol: Client, asked: str, found: int) -> None:
    make_debate(rule="three-quarters")
    assert carol.get(f"/admin/debates/debate/{asked}").context["cl"].result_count == found


def test_not_even_an_admin_sees_votes_before_the_barrier(carol: Client) -> None:
    debate = make_debate(options=["Close it", "Keep it open"])
    make_round(debate, "AB.", step="ballot")
    page = page_of(carol, debate)
    assert "Analyst speaks in round 0." in page
    assert "(smollm2:135m): Close it" not in page


def test_list_shows_nothing_that_was_said_and_is_not_recorded(carol: Client) -> None:
    make_debate(question="About my illness", votes=["AAB"])
    page = carol.get("/admin/debates/debate/")
    assert page.status_code == HTTPStatus.OK
    assert b"illness" not in page.content
    assert not AuditEvent.objects.filter(action="debate.read").exists()


@pytest.mark.parametrize("path", ["add/", "{}/delete/"])
def test_debate_cannot_be_added_changed_or_deleted_here(carol: Client, path: str) -> None:
    debate = make_debate(votes=["AAB"])
    assert carol.get(f"/admin/debates/debate/{path.format(debate.pk)}").status_code == HTTPStatus.FORBIDDEN
    carol.post(f"/admin/debates/debate/{debate.pk}/change/", {"question": "changed"})
    assert Debate.objects.get().question == "Should the bridge be closed?"


def test_staff_without_the_permission_reads_nothing(client: Client) -> None:
    debate = make_debate()
    client.force_login(make_user("dave", is_staff=True))
    page = client.get(f"/admin/debates/debate/{debate.pk}/change/")
    assert page.status_code == HTTPStatus.FORBIDDEN
    assert not AuditEvent.objects.filter(action="debate.read").exists()


def test_agents_and_models_show_their_track_records(carol: Client) -> None:
    debate = make_debate(votes=["BAA", "AAA"], confidences=90.0)
    records.settle(debate, option="A")
    agents = carol.get("/admin/agents/agent/").content.decode()
    assert "1 of 1 right (100%, 95 %: 21%–100%), Brier 0.010, moved 1× to and 0× from the right option" in agents
    models = carol.get("/admin/debates/calibration/").content.decode()
    assert "3 of 3 right" in models
    assert carol.get("/admin/debates/calibration/smollm2:135m/change/").status_code == HTTPStatus.OK


def test_an_agent_without_settled_debates_says_so_and_can_still_be_edited(carol: Client) -> None:
    make_debate()
    agent = Agent.objects.first()
    assert agent is not None
    assert "nothing settled yet" in carol.get("/admin/agents/agent/").content.decode()
    assert carol.get(f"/admin/agents/agent/{agent.pk}/change/").status_code == HTTPStatus.OK


def test_records_of_a_page_are_read_at_once(carol: Client) -> None:
    make_debate(votes=["A"])
    few = queries(carol, "/admin/agents/agent/")
    make_debate(votes=["AAAAAA"])
    assert queries(carol, "/admin/agents/agent/") == few


def test_debate_is_told_in_words_and_its_numbers_in_thousands(carol: Client) -> None:
    debate = make_debate(votes=["A"], protocol="round-table", rule="two-thirds")
    Debate.objects.filter(pk=debate.pk).update(status="ended", stop_reason="lead_cannot_change", max_tokens=1_234_567)

    listed, page = carol.get("/admin/debates/debate/").content.decode(), page_of(carol, debate)

    words = (PROTOCOLS["round-table"].name, "Two thirds", "The lead cannot change any more.")
    assert [word in text for text in (listed, page) for word in words] == [True] * 6
    assert "lead_cannot_change" not in listed
    assert "1,234,567" in page


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        client.get(path)
    return len(asked)
