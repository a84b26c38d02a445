"""The API of debates: what each operation answers, and how it refuses what cannot be."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, Run
from debates.models import Ballot, Claim, Debate, Injection, Round, Seat, Speech
from debates.protocols import PROTOCOLS
from monitoring.models import AuditEvent
from tests.debates.pump import VOTERS, Script, launch, make_panel, play
from tests.debates.rows import add_run, make_claim, make_debate, make_injection, make_round, make_speech
from tests.factories import make_agent, make_user
from tests.jsonapi import Api

pytestmark = pytest.mark.django_db
OPTIONS = ["Yes", "No"]


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def api(alice: User) -> Api:
    return Api(alice)


@pytest.fixture
def panel(db: None) -> list[dict[str, str]]:
    return [{"agent": place.agent.slug} for place in make_panel()]


def refused(answer: tuple[int, Any], status: int, kind: str, words: str) -> None:
    assert (answer[0], answer[1]["kind"]) == (status, kind), answer
    assert words in answer[1]["detail"]


def test_one_question_is_enough(api: Api, panel: list[dict[str, str]]) -> None:
    status, debate = api.post("debates", question=" Should the bridge be closed? ")
    assert status == 201
    plain = {name: debate[name] for name in ("question", "status", "protocol", "rule", "belief", "is_open", "options")}
    assert plain == {
        "question": "Should the bridge be closed?",
        "status": "running",
        "protocol": "round-table",
        "rule": "three-quarters",
        "belief": "stated",
        "is_open": True,
        "options": [],
    }
    seats = api.get(f"debates/{debate['id']}")[1]["seats"]
    assert [seat["agent"] for seat in seats] == [place["agent"] for place in panel]


def test_what_is_asked_for_is_what_begins(api: Api, panel: list[dict[str, str]]) -> None:
    asked: dict[str, Any] = {
        "question": "Is it so?",
        "background": "b" * 20_000,
        "options": OPTIONS,
        "protocol": "blind-vote",
        "rule": "majority",
        "belief": "measured",
        "panel": panel[:3],
        "max_rounds": 1,
        "max_tokens": 50_000,
        "max_minutes": 5,
        "speech_tokens": 100,
    }
    status, begun = api.post("debates", **asked)
    debate = api.get(f"debates/{begun['id']}")[1]
    assert status == 201
    assert {name: debate[name] for name in asked if name not in ("options", "panel")} == {
        name: value for name, value in asked.items() if name not in ("options", "panel")
    }
    assert debate["options"] == [{"id": "A", "text": "Yes"}, {"id": "B", "text": "No"}]
    assert [(seat["agent"], seat["votes"]) for seat in debate["seats"]] == [(slug, True) for slug in VOTERS[:3]]


def test_the_same_key_is_the_same_debate(api: Api, panel: list[dict[str, str]]) -> None:
    asked = {"question": "Is it so?", "key": str(uuid4())}
    first, second = api.post("debates", **asked), api.post("debates", **asked)
    assert first == second
    assert Debate.objects.count() == 1


def of(panel: list[dict[str, str]], *roles: str) -> list[dict[str, str]]:
    return [place for place in panel if place["agent"] in roles]


BAD_STARTS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"question": " "}, 422, "bad_debate", "Type the question."),
    ({"background": "b" * 20_001}, 422, "invalid", "background: String should have at most 20000 characters"),
    ({"question": "q" * 4_001}, 422, "invalid", "question: String should have at most 4000 characters"),
    ({"options": ["Yes", "yes "]}, 422, "bad_debate", "“yes” is there twice"),
    ({"options": ["Yes"]}, 422, "bad_debate", "2 to 6 options"),
    ({"options": ["Yes", " "]}, 422, "bad_debate", "Type the option."),
    ({"options": list("ABCDEFG")}, 422, "invalid", "options: List should have at most 6 items"),
    ({"options": ["Yes", "n" * 201]}, 422, "invalid", "options.1: String should have at most 200"),
    ({"protocol": "arena"}, 422, "invalid", "there is no protocol “arena”, but round-table"),
    ({"rule": "lot"}, 422, "invalid", "there is no rule “lot”, but plurality"),
    ({"rule": "confidence-weighted"}, 422, "bad_debate", "locked until"),
    ({"protocol": "oxford", "rule": "majority"}, 422, "bad_debate", "decided by its judge"),
    ({"protocol": "oxford", "options": []}, 422, "bad_debate", "exactly two options"),
    ({"belief": "felt"}, 422, "invalid", "belief: Input should be 'stated', 'measured' or 'probe'"),
    ({"panel": []}, 422, "bad_debate", "up to 15 seats"),
    ({"panel": [{"agent": "analyst"}] * 16}, 422, "invalid", "panel: List should have at most 15 items"),
    ({"panel": [{"agent": "nobody"}]}, 422, "bad_debate", "There is no agent “nobody”."),
    ({"panel": [{"agent": "analyst"}] * 2}, 422, "bad_debate", "2 of the seats have a vote, and 3 is the least"),
    ({"panel": [{"agent": "analyst", "model": "gone:1b"}] * 3}, 409, "model_unavailable", "smollm2:135m"),
    ({"panel": [{"agent": "retired"}] * 3}, 409, "agent_disabled", "Retired is switched off"),
    ({"panel": [{"agent": "analyst"}] * 3, "options": []}, 422, "bad_debate", "needs a seat for: Moderator"),
    ({"max_rounds": 6}, 422, "bad_debate", "takes 2 to 5 rounds"),
    ({"max_rounds": -1}, 422, "bad_debate", "takes 2 to 5 rounds"),
    ({"max_tokens": -1}, 422, "bad_debate", "The tokens: from 1"),
    ({"max_tokens": 10**15}, 422, "bad_debate", "to 10,000,000"),
    ({"max_minutes": 0}, 422, "bad_debate", "The minutes: from 1 to 1,440"),
    ({"speech_tokens": 5}, 422, "bad_debate", "from 30 to 2,000"),
    ({"speech_tokens": "many"}, 422, "invalid", "speech_tokens: Input should be a valid integer"),
    ({"max_tokens": 1_000}, 422, "budget_too_small", "the budget is 1,000"),
]


@pytest.mark.parametrize("refusal", BAD_STARTS, ids=lambda refusal: refusal[3])
def test_a_start_that_cannot_be_is_refused_in_words(
    api: Api, panel: list[dict[str, str]], refusal: tuple[dict[str, Any], int, str, str]
) -> None:
    changed, expected = refusal[0], refusal[1:]
    make_agent("retired", name="Retired", is_active=False)
    refused(api.post("debates", **{"question": "Is it so?", "options": OPTIONS, **changed}), *expected)
    assert Debate.objects.count() == 0
    if "budget_too_small" not in expected and changed.get("question") != " ":
        refused(api.post("debates/estimate", **{"options": OPTIONS, **changed}), *expected)


BAD_BODIES = [
    rb'{"question": "a\ud800"}',
    rb'{"question": "a\u0000"}',
    b'{"question": "a\xff"}',
    b"[]",
    b"null",
    b"",
    b"{",
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_no_body_is_a_server_error(api: Api, panel: list[dict[str, str]], body: bytes) -> None:
    debate = make_debate(votes=["AAB"])
    for path in ("debates", f"debates/{debate.pk}/inject", f"debates/{debate.pk}/fork"):
        status, said = api.send("POST", path, body)
        assert status in {400, 422}
        assert said["detail"]
    assert api.send("POST", "debates/estimate", body)[0] in {200, 400, 422}


QUERIES = [
    {"q": "a\0"},
    {"q": "%"},
    {"protocol": "\0"},
    {"status": "x"},
    {"cursor": "x"},
    {"size": "0"},
    {"q": "x" * 201},
]


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_is_a_server_error(api: Api, query: dict[str, str]) -> None:
    assert api.get("debates", **query)[0] in {200, 400, 422}


def test_more_at_once_than_allowed_are_refused_with_the_limit(api: Api, panel: list[Any], settings: Any) -> None:
    settings.DEBATES_PER_USER = 1
    api.post("debates", question="Is it so?")
    answer = api.post("debates", question="And this?")
    refused(answer, 429, "too_many_debates", "1 is the limit")
    assert answer[1]["retry_after"] > 0


def test_the_list_goes_by_pages_the_newest_first(api: Api) -> None:
    made = [str(make_debate(question=f"Question {number}?").pk) for number in range(3)]
    first = api.get("debates", size=2)[1]
    rest = api.get("debates", size=2, cursor=first["next"])[1]
    assert [row["id"] for row in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None


def test_the_list_is_filtered_by_status_protocol_and_words(api: Api) -> None:
    bridge = make_debate(votes=["AAA"], question="Should the bridge be closed?", background="It is old.")
    make_debate(question="Is it late?", protocol="delphi", options=["Früh", "Spät"])

    def found(**query: str) -> list[str]:
        return [row["question"] for row in api.get("debates", **query)[1]["items"]]

    assert found(status="ended") == found(protocol="round-table") == found(q="OLD bridge") == [bridge.question]
    assert found(q="spät") == found(protocol="delphi") == found(status="running") == ["Is it late?"]
    assert found(q="bridge late") == []
    assert len(found()) == 2


def test_a_debate_that_has_ended_tells_all_there_is(api: Api) -> None:
    debate = play(launch(), Script(votes=["AABBA", "AAABA"]))
    make_injection(debate)
    told = api.get(f"debates/{debate.pk}")[1]
    assert (told["status"], told["winner"], told["verdict"]["option"]) == ("ended", "A", "A")
    assert (told["summary"], told["label"]) == ("The panel has decided as it has.", told["verdict"]["label"])
    first = told["rounds"][0]
    assert (first["kind"], first["step"], len(first["ballots"]), len(first["voted"])) == ("blind", "scored", 5, 5)
    ballot = first["ballots"][0]
    assert (ballot["option"], ballot["confidence"], ballot["reason"]) == ("A", 90, "Because of A.")
    assert first["metrics"]["counts"] == {"A": 3, "B": 2}
    assert first["speeches"][0]["text"] == "Analyst answers in round 0."
    assert (told["claims"][0]["number"], told["claims"][0]["round"]) == (1, 0)
    assert told["injections"][0]["text"] == "It rusts."
    assert told["cost"]["calls"] == Run.objects.count()


def test_what_was_voted_is_told_when_all_have_voted(api: Api) -> None:
    debate = make_debate(protocol="council")
    blind = make_round(debate, "AB.", step="ballot")
    told = api.get(f"debates/{debate.pk}")
    assert "finds A right" not in orjson.dumps(told).decode()
    [round] = told[1]["rounds"]
    assert (round["ballots"], len(round["voted"])) == ([], 2)
    make_speech(blind, debate.seats.all()[0], kind=Speech.Kind.RANKING, text="{}", data=["B"], html="<p>B</p>")
    ranking = api.get(f"debates/{debate.pk}")[1]["rounds"][0]["speeches"][-1]
    assert (ranking["kind"], ranking["text"], ranking["html"], ranking["data"]) == ("ranking", "", "", None)


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


def test_the_same_queries_for_a_short_debate_and_a_long_one(api: Api) -> None:
    short, long = make_debate(votes=["AAB"]), make_debate(votes=["AABBA"] * 3)
    for debate in (short, long):
        for round in debate.rounds.all():
            make_claim(round, debate.seats.all()[0])
            for ballot in round.ballots.all():
                add_run(ballot)
    for path in ("", "/events", "/export"):
        few = queries(api.client, f"/api/debates/{short.pk}{path}")
        assert queries(api.client, f"/api/debates/{long.pk}{path}") == few
    one = queries(api.client, "/api/debates?size=1")
    assert queries(api.client, "/api/debates?size=2") == one


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


def test_choices_come_with_words_and_panels(api: Api, panel: list[dict[str, str]]) -> None:
    told = api.get("debates/protocols")[1]
    assert [protocol["slug"] for protocol in told["protocols"]] == list(PROTOCOLS)
    assert all(choice["words"] for choices in told.values() for choice in choices)
    assert told["protocols"][0]["panel"] == [{**place, "model": ""} for place in panel]
    assert {role["slug"] for role in told["roles"] if not role["votes"]} == {
        "devils-advocate",
        "fact-checker",
        "moderator",
    }
    assert [belief["slug"] for belief in told["beliefs"]] == ["stated", "measured", "probe"]
    assert "three-quarters" in [rule["slug"] for rule in told["rules"]]


def test_an_estimate_needs_no_question_and_begins_nothing(api: Api, panel: list[dict[str, str]]) -> None:
    status, told = api.post("debates/estimate", options=OPTIONS)
    assert status == 200
    assert told["tokens"] == told["prompt_tokens"] + told["output_tokens"]
    assert told["runs"] > 5 * 2 * 3
    assert (Debate.objects.count(), Run.objects.count()) == (0, 0)


Call = Callable[[Api, str], tuple[int, Any]]
CALLS: list[Call] = [
    lambda api, path: api.get(path),
    lambda api, path: api.delete(path),
    lambda api, path: api.post(f"{path}/pause"),
    lambda api, path: api.post(f"{path}/resume"),
    lambda api, path: api.post(f"{path}/stop"),
    lambda api, path: api.post(f"{path}/challenge"),
    lambda api, path: api.post(f"{path}/inject", text="Hi"),
    lambda api, path: api.post(f"{path}/options", options=OPTIONS),
    lambda api, path: api.post(f"{path}/fork", after=0),
    lambda api, path: api.post(f"{path}/settle", option="A"),
    lambda api, path: api.post(f"{path}/share"),
    lambda api, path: api.delete(f"{path}/share"),
    lambda api, path: api.get(f"{path}/events"),
    lambda api, path: api.get(f"{path}/export"),
]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_somebody_elses_is_not_found_and_stays_as_it_was(call: Call) -> None:
    debate = make_debate(votes=["AAB"], status="running", silent=["devils-advocate"])
    models = (Debate, Seat, Round, Speech, Ballot, Claim, Injection)
    before = [list(model._default_manager.values()) for model in models]
    assert call(Api(make_user("bob")), f"debates/{debate.pk}")[0] == 404
    assert [list(model._default_manager.values()) for model in models] == before
