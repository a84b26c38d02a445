"""The API of debates: what each operation answers, and how it refuses what cannot be."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Run
from debates.models import Ballot, Claim, Debate, Injection, Round, Seat, Speech
from debates.protocols import PROTOCOLS
from tests.debates.pump import VOTERS, Script, launch, play
from tests.debates.rows import add_run, make_claim, make_debate, make_injection, make_round, make_speech
from tests.factories import make_agent, make_user
from tests.jsonapi import Api

pytestmark = pytest.mark.django_db
OPTIONS = ["Yes", "No"]


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
    assert told["left_today"] == 10_000_000
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
