"""The API of debates: what an owner may do with one that is there."""

from typing import Any

import orjson
import pytest
from django.test import Client

from agents.models import Agent, Run
from debates.models import Debate, Speech
from monitoring.models import AuditEvent
from tests.debates.pump import launch, make_panel, play
from tests.debates.rows import add_run, make_debate, make_round, make_speech
from tests.factories import make_agent
from tests.jsonapi import Api

pytestmark = pytest.mark.django_db
OPTIONS = ["Yes", "No"]


def refused(answer: tuple[int, Any], status: int, kind: str, words: str) -> None:
    assert (answer[0], answer[1]["kind"]) == (status, kind), answer
    assert words in answer[1]["detail"]


def test_pause_resume_and_stop(api: Api, panel: list[dict[str, str]]) -> None:
    path = f"debates/{api.post('debates', question='Is it so?', options=OPTIONS)[1]['id']}"
    assert api.post(f"{path}/pause")[1]["pause_requested"] is True
    assert api.post(f"{path}/resume")[1]["pause_requested"] is False
    stopped = api.post(f"{path}/stop")
    assert (stopped[0], stopped[1]["status"], stopped[1]["stop_reason"]) == (200, "ended", "user")
    assert AuditEvent.objects.filter(action="debate.stopped").count() == 1
    for action in ("pause", "resume", "stop"):
        refused(api.post(f"{path}/{action}"), 409, "not_now", "The debate is ended.")


def test_evidence_and_questions_are_put_before_all(api: Api) -> None:
    path = f"debates/{make_debate().pk}/inject"
    status, put = api.post(path, kind="question", text=" How old is it? ")
    assert (status, put["kind"], put["text"]) == (201, "question", "How old is it?")
    refused(api.post(path, text=" "), 422, "bad_debate", "4,000 characters at most")
    refused(api.post(path, text="x" * 4_001), 422, "bad_debate", "4,000 characters at most")
    refused(api.post(path, kind="threat", text="x"), 422, "invalid", "evidence")


def test_one_more_challenge(api: Api) -> None:
    debate = make_debate(votes=["AAB"], silent=["devils-advocate"])
    assert api.post(f"debates/{debate.pk}/challenge")[1]["status"] == "running"
    refused(api.post(f"debates/{debate.pk}/challenge"), 409, "not_now", "asked for already")
    refused(api.post(f"debates/{make_debate(votes=['AAB']).pk}/challenge"), 409, "not_now", "Devil's Advocate")


def test_options_of_an_open_question_can_be_edited_before_round_1(api: Api) -> None:
    debate = make_debate(status="paused", is_open=True)
    make_round(debate, step="options")
    path = f"debates/{debate.pk}/options"
    assert api.post(path, options=["Wait", "Act", "Ask"])[1]["options"][2] == {"id": "C", "text": "Ask"}
    refused(api.post(path, options=["Wait"]), 422, "bad_debate", "2 to 6 options")
    refused(api.post(path, options=["Wait", "wait"]), 422, "bad_debate", "twice")
    refused(api.post(f"debates/{make_debate().pk}/options", options=OPTIONS), 409, "not_now", "under way")


def test_a_fork_shares_the_rounds_and_takes_another_panel(api: Api) -> None:
    debate = make_debate(votes=["AAB", "AAA"])
    slugs = [seat.agent.slug for seat in debate.seats.select_related("agent") if seat.agent]
    extra = make_agent("extra", role="researcher")
    Agent.objects.filter(pk=extra.pk).update(model="smollm2:135m")
    make_panel("specialist")
    status, fork = api.post(f"debates/{debate.pk}/fork", after=0)
    assert (status, fork["parent"], fork["forked_after"], fork["status"]) == (201, str(debate.pk), 0, "running")
    changed = api.post(f"debates/{debate.pk}/fork", after=0, panel=[{"agent": slug} for slug in [*slugs, "extra"]])
    assert len(api.get(f"debates/{changed[1]['id']}")[1]["seats"]) == 4
    refused(api.post(f"debates/{debate.pk}/fork", after=7), 409, "cannot_fork", "Round 7 is not over")
    refused(api.post(f"debates/{debate.pk}/fork", after=-1), 409, "cannot_fork", "Round -1 is not over")
    unknown = [{"agent": "nobody"}]
    refused(api.post(f"debates/{debate.pk}/fork", after=0, panel=unknown), 422, "bad_debate", "“nobody”")


def test_settling_and_taking_it_back(api: Api) -> None:
    debate = make_debate(votes=["AAA"])
    path = f"debates/{debate.pk}/settle"
    settled = api.post(path, option="B")[1]
    assert (settled["right_option"], settled["settled_at"] is None) == ("B", False)
    taken_back = api.post(path, option=None)[1]
    assert (taken_back["right_option"], taken_back["settled_at"]) == ("", None)
    refused(api.post(path, option="Z"), 422, "bad_debate", "no such option")
    refused(api.post(path), 422, "invalid", "option")
    refused(api.post(f"debates/{make_debate().pk}/settle", option="A"), 409, "not_now", "has ended")


def test_a_link_is_read_by_anybody_until_it_is_taken_back(api: Api) -> None:
    debate = make_debate(votes=["AAA"])
    path = f"debates/{debate.pk}/share"
    url = api.post(path)[1]["url"]
    assert api.post(path)[1]["url"] == url
    assert api.get(f"debates/{debate.pk}")[1]["is_shared"] is True
    assert Client().get(url).status_code == 200
    assert api.delete(path) == (204, None)
    assert Client().get(url).status_code == 404


def test_exports_are_files(api: Api) -> None:
    debate = make_debate(votes=["AAA"])
    path = f"/api/debates/{debate.pk}/export"
    markdown, json = api.client.get(path), api.client.get(path, {"format": "json"})
    assert "Should the bridge be closed?" in markdown.content.decode()
    assert markdown["Content-Disposition"] == 'attachment; filename="should-the-bridge-be-closed.md"'
    assert orjson.loads(json.content)["version"] == 1
    assert json["Content-Type"] == "application/json"
    refused(api.get(f"debates/{debate.pk}/export", format="pdf"), 422, "invalid", "markdown")


def test_events_tell_the_course_up_to_a_round(api: Api) -> None:
    debate = make_debate(votes=["AAB", "AAA"])
    path = f"debates/{debate.pk}/events"
    everything = api.get(path)[1]["items"]
    assert (everything[0]["type"], everything[-1]["status"]) == ("debate.round", "ended")
    assert {event["round"] for event in api.get(path, until=0)[1]["items"]} == {0}
    assert api.get(path, until=str(10**30))[0] == 200
    assert api.get(path, until="x")[0] == 422


def test_a_deleted_debate_is_gone_with_all_that_was_said(api: Api, panel: list[dict[str, str]]) -> None:
    debate = launch(panel=make_places(panel))
    play(debate, most=3)
    fork = Debate.objects.create(owner=debate.owner, question="And?", protocol="delphi", rule="majority", parent=debate)
    neighbour = make_debate()
    other = add_run(make_speech(make_round(neighbour, step="speech"), neighbour.seats.all()[0]))
    assert Run.objects.unfinished().count() > 0
    assert api.delete(f"debates/{debate.pk}") == (204, None)
    assert api.get(f"debates/{debate.pk}")[0] == api.delete(f"debates/{debate.pk}")[0] == 404
    assert list(Run.objects.all()) == [other]
    assert not Speech.objects.filter(round__debate=debate.pk).exists()
    fork.refresh_from_db()
    assert fork.parent is None
    assert AuditEvent.objects.filter(action="debate.deleted").count() == 1


def make_places(panel: list[dict[str, str]]) -> Any:
    from debates.launching import Place

    return [Place(Agent.objects.get(slug=place["agent"])) for place in panel]
