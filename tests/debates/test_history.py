"""The events made from the rows, held against those that were said live."""

from collections import Counter
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone

from debates import controls, rounds
from debates.history import events_of
from debates.models import Ballot, Claim, Debate, Round, Speech
from tests.chat.heard import events
from tests.debates.pump import Script, end, launch, play, waiting
from tests.debates.rows import add_run, make_ballot, make_claim, make_debate, make_injection, make_round, make_speech

pytestmark = pytest.mark.django_db


def types(debate: Debate, **how: Any) -> list[str]:
    return [event["type"].removeprefix("debate.") for event in events_of(debate, **how)]


def said_live(debate: Debate) -> list[dict[str, Any]]:
    return [event for event in events(debate.topic) if event["type"].startswith("debate.")]


@pytest.mark.parametrize("protocol", ["round-table", "council", "delphi", "oxford", "stress-test"])
def test_rows_tell_what_was_said_live(protocol: str, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        debate = launch(protocol=protocol)
    script = Script(votes=["AABBA", "AAABA"])
    with django_capture_on_commit_callbacks(execute=True):
        rounds.advance(debate.pk)
    while run := waiting(debate):
        with django_capture_on_commit_callbacks(execute=True):
            end(run, script)
        with django_capture_on_commit_callbacks(execute=True):
            rounds.advance(debate.pk)

    told = events_of(debate)
    assert once(told) == once(said_live(debate))
    assert steps_of(told) == steps_of(said_live(debate))
    assert told[-1]["status"] == "ended"


def once(events: list[dict[str, Any]]) -> Counter[bytes]:
    """Without what only rows tell: times and texts; that there is a verdict may be said more than once."""
    plain = [{name: value for name, value in event.items() if name not in ("at", "text")} for event in events]
    return Counter({orjson.dumps(event, option=orjson.OPT_SORT_KEYS): 1 for event in plain})


def steps_of(events: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(event["round"], event["step"]) for event in events if event["type"] == "debate.round"]


def test_an_open_question_gets_its_options_after_the_step_that_found_them() -> None:
    debate = play(launch(options=[]), Script(votes=["AAAAA"]))
    told = types(debate)
    assert told.count("options") == 1
    assert told.index("options") < told.index("voted")


def test_a_step_stands_before_what_was_said_in_it_and_times_never_go_back() -> None:
    debate = play(launch(), Script(votes=["AABBA", "AAABA"]))
    told = events_of(debate)
    assert [event["type"] for event in told[:2]] == ["debate.round", "debate.speech"]
    assert [event["at"] for event in told] == sorted(event["at"] for event in told)


def test_a_speech_begins_without_its_text_and_ends_with_it() -> None:
    debate = make_debate()
    add_run(make_speech(make_round(debate, step="speech"), debate.seats.all()[0], text="Yes, as it rusts."))
    begun, over = (event for event in events_of(debate) if event["type"] == "debate.speech")
    assert (begun["status"], "text" in begun) == ("waiting", False)
    assert (over["status"], over["text"]) == ("done", "Yes, as it rusts.")


def test_a_speech_that_nobody_could_be_asked_for_is_only_over() -> None:
    debate = make_debate()
    refused = {"text": "", "status": Speech.Status.FAILED, "error": "No host has it."}
    make_speech(make_round(debate, step="speech"), debate.seats.all()[0], **refused)
    [event] = [event for event in events_of(debate) if event["type"] == "debate.speech"]
    assert (event["status"], event["error"]) == ("failed", "No host has it.")


@pytest.mark.parametrize("step", ["ballot", "probe"])
def test_before_the_barrier_it_is_told_who_has_voted_and_nothing_else(step: str) -> None:
    debate = make_debate()
    make_round(debate, "AB.", step=step)
    told = events_of(debate)
    voted = [event["seat"] for event in told if event["type"] == "debate.voted"]
    assert voted == [str(seat.pk) for seat in debate.seats.all()[:2]]
    assert all(set(event) == {"type", "round", "seat", "at"} for event in told if event["type"] == "debate.voted")
    assert not {"debate.ballot", "debate.score"} & {event["type"] for event in told}
    assert "Analyst finds A right." not in str(told)


def test_votes_of_a_round_that_was_stopped_stay_unseen() -> None:
    debate = make_debate()
    make_round(debate, "AB.", step="ballot")
    controls.stop(debate)
    assert types(debate)[-2:] == ["verdict", "state"]
    assert "ballot" not in types(debate)


def test_a_ranking_is_a_vote_and_read_by_nobody_before_all_are_in() -> None:
    debate = make_debate(protocol="council", votes=["AAB"], status="running")
    ranking = make_round(debate, kind=Round.Kind.RANKING, step="ranking")
    make_speech(ranking, debate.seats.all()[0], kind=Speech.Kind.RANKING, text='{"ranking": ["B"]}')
    assert '"ranking\\"' not in orjson.dumps(events_of(debate)).decode()
    Round.objects.filter(pk=ranking.pk).update(step="scored")
    assert '{"ranking": ["B"]}' in [event.get("text") for event in events_of(debate)]


def test_scored_rounds_show_their_ballots_together() -> None:
    debate = make_debate(votes=["AB-"])
    [shown] = [event for event in events_of(debate) if event["type"] == "debate.ballot"]
    assert [ballot["option"] for ballot in shown["ballots"]] == ["A", "B", None]
    assert shown["ballots"][2]["abstention"] == "chosen"


def test_claims_are_told_where_they_were_checked() -> None:
    debate = make_debate(votes=["AAB"], status="running")
    challenge = make_round(debate, kind=Round.Kind.CHALLENGE, step="speech")
    claim = make_claim(debate.rounds.all()[0], debate.seats.all()[0])
    Claim.objects.filter(pk=claim.pk).update(checked_in=challenge)
    [event] = [event for event in events_of(debate) if event["type"] == "debate.claims"]
    assert (event["round"], event["claims"]) == (1, [1])


def test_what_was_injected_stands_where_it_came() -> None:
    debate = make_debate(votes=["AAB"], status="running")
    make_injection(debate, created_at=timezone.now() + timedelta(seconds=1))
    second = make_round(debate, step="speech")
    Round.objects.filter(pk=second.pk).update(started_at=timezone.now() + timedelta(seconds=2))
    told = types(debate)
    assert told.index("score") < told.index("injection")
    assert types(debate, until=0)[-1] == "injection"


def test_until_a_round_tells_nothing_later() -> None:
    debate = play(launch(), Script(votes=["AABBA", "AAABA"]))
    told = events_of(debate, until=0)
    assert {event["round"] for event in told} == {0}
    assert told[-1]["step"] == "scored"
    assert events_of(debate, until=-1) == []


def test_a_pause_that_lasts_is_told_with_its_reason() -> None:
    debate = make_debate(status="paused", pause_reason="Look at the options, then resume.")
    [state] = [event for event in events_of(debate) if event["type"] == "debate.state"]
    assert (state["status"], state["pause_reason"]) == ("paused", "Look at the options, then resume.")


def test_the_judge_votes_after_the_last_round_and_before_the_account_of_it() -> None:
    debate = play(launch(rule="judge"), Script(votes=["AABBA"]))
    judge = debate.seats.get(role="moderator")
    told = events_of(debate)
    judged = next(at for at, event in enumerate(told) if event.get("seat") == str(judge.pk))
    assert told[judged]["type"] == "debate.voted"
    assert [event["type"] for event in told[judged + 1 :]] == [
        "debate.verdict",
        "debate.speech",
        "debate.speech",
        "debate.verdict",
        "debate.state",
    ]
    assert Ballot.objects.get(is_judgement=True).seat == judge


@pytest.mark.parametrize("length", [1, 3])
def test_six_queries_however_long_the_debate_was(length: int, django_assert_num_queries: Any) -> None:
    debate = make_debate(votes=["AAABB"] * length)
    for round in debate.rounds.all():
        make_claim(round, debate.seats.all()[0])
        for ballot in round.ballots.all():
            add_run(ballot)
    with django_assert_num_queries(6):
        events_of(debate)


def test_a_debate_that_has_not_begun_has_a_state() -> None:
    assert types(make_debate()) == ["state"]


def test_ballots_without_their_runs_are_still_told() -> None:
    debate = make_debate()
    round = make_round(debate, step="ballot")
    make_ballot(round, debate.seats.all()[0])
    assert types(debate).count("voted") == 1
