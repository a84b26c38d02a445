"""Pause, resume, stop, inject, challenge once more."""

import pytest

from agents.models import Run
from debates import controls, rounds
from debates.errors import BadDebate, NotNow
from debates.models import Debate, Injection, Speech
from tests.debates.pump import Role, Script, end, kinds, launch, make_panel, play, waiting

pytestmark = pytest.mark.django_db


def test_a_pause_waits_for_the_barrier_and_a_resume_goes_on_there() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    controls.pause(debate)
    debate = play(debate)
    assert debate.status == Debate.Status.PAUSED
    assert Speech.objects.filter(status="done").count() == 5
    assert not debate.rounds.get().ballots.exists()
    controls.resume(debate)
    assert play(debate).status == Debate.Status.ENDED


def test_a_pause_can_be_taken_back_before_it_comes() -> None:
    debate = launch()
    controls.pause(debate)
    controls.resume(debate)
    assert play(debate).status == Debate.Status.ENDED


def test_a_stop_ends_at_once_and_keeps_what_was_said() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    first = waiting(debate)
    assert first is not None
    end(first, Script())
    controls.stop(debate)
    debate.refresh_from_db()
    assert (debate.status, debate.stop_reason, debate.verdict) == ("ended", "user", None)
    assert Speech.objects.exclude(text="").count() == 1


def test_a_stop_after_a_whole_round_has_its_result(django_capture_on_commit_callbacks: object) -> None:
    debate = launch()
    rounds.advance(debate.pk)
    while debate.rounds.count() < 2:
        run = waiting(debate)
        assert run is not None
        end(run, Script(votes=["AABBA"]))
        rounds.advance(debate.pk)
    controls.stop(debate)
    debate.refresh_from_db()
    assert debate.verdict is not None
    assert debate.verdict["stop_reason"] == "user"


@pytest.mark.django_db(transaction=True)
def test_a_stop_cancels_every_run() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    controls.stop(debate)
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}


def test_what_has_ended_cannot_be_paused_resumed_or_stopped() -> None:
    debate = play(launch(protocol="blind-vote"))
    for control in (controls.pause, controls.resume, controls.stop):
        with pytest.raises(NotNow, match="The debate is ended."):
            control(debate)


def test_evidence_reaches_all_seats_from_their_next_speech_on() -> None:
    debate = launch(protocol="solutions-only")
    rounds.advance(debate.pk)
    controls.inject(debate, kind="evidence", text="The bridge was closed in May.")
    play(debate)
    later = Run.objects.filter(subject__in=Speech.objects.filter(round__number=1, kind="answer").values("pk"))
    assert later.count() == 5
    assert all("The bridge was closed in May." in str(run.messages[1:]) for run in later)
    assert all("The bridge was closed in May." not in run.messages[0]["content"] for run in later)


def test_who_is_moved_by_evidence_can_cite_it() -> None:
    debate = launch(max_rounds=2)
    rounds.advance(debate.pk)
    controls.inject(debate, kind="evidence", text="The bridge was closed in May.")
    controls.inject(debate, kind="question", text="What about the ferry?")
    debate = play(debate, Script(votes=["AABBB", "BBBBB"], cites=True))
    added = debate.claims.get(seat=None)
    assert (added.text, added.round.number) == ("The bridge was closed in May.", 1)
    metrics = debate.rounds.get(number=1).metrics
    assert metrics is not None
    assert [flip["is_evidenced"] for flip in metrics["flips"]] == [True, True]


@pytest.mark.parametrize(("kind", "text"), [("evidence", " "), ("evidence", "x" * 4001), ("order", "Vote A.")])
def test_what_cannot_be_injected_is_refused(kind: str, text: str) -> None:
    debate = launch()
    with pytest.raises(BadDebate):
        controls.inject(debate, kind=kind, text=text)
    assert not Injection.objects.exists()


def test_no_more_than_twenty_injections() -> None:
    debate = launch()
    for _ in range(20):
        controls.inject(debate, kind="question", text="And?")
    with pytest.raises(NotNow, match="20 is the limit"):
        controls.inject(debate, kind="question", text="And?")


def test_one_more_challenge_reopens_what_has_ended() -> None:
    debate = play(launch(), Script(votes=["AAAAA"]))
    assert kinds(debate) == ["blind", "challenge"]
    controls.challenge_again(debate)
    debate = play(debate, Script(votes=["AAAAA"]))
    assert kinds(debate) == ["blind", "challenge", "challenge"]
    assert debate.status == Debate.Status.ENDED
    assert debate.verdict is not None


def test_a_judge_is_asked_again_after_one_more_challenge() -> None:
    debate = play(launch(rule="judge"), Script(votes=["AABBA"], judged=["A"]))
    controls.challenge_again(debate)
    debate = play(debate, Script(votes=["AABBA"], judged=["B"]))
    assert debate.verdict is not None
    assert debate.verdict["option"] == "B"


def test_a_course_that_is_fixed_takes_no_further_challenge() -> None:
    debate = play(launch(protocol="council"), Script(votes=["AABBA"]))
    with pytest.raises(NotNow, match="The rounds of Council are fixed."):
        controls.challenge_again(debate)


def test_one_more_challenge_during_a_debate_comes_after_the_round_under_way() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    controls.challenge_again(debate)
    with pytest.raises(NotNow, match="asked for already"):
        controls.challenge_again(debate)
    debate = play(debate, Script(votes=["AABBA"]))
    assert kinds(debate)[:2] == ["blind", "challenge"]


def test_without_an_advocate_there_is_no_challenge() -> None:
    debate = launch(panel=make_panel("analyst", "skeptic", "pragmatist", Role.MODERATOR))
    with pytest.raises(NotNow, match="Devil's Advocate"):
        controls.challenge_again(debate)
    assert "challenge" not in kinds(play(debate))


def test_options_are_frozen_once_round_1_has_begun() -> None:
    debate = play(launch(options=[]), Script(votes=["AABBA"]))
    with pytest.raises(NotNow):
        controls.set_options(debate, ["Stay", "Go"])


def test_options_edited_after_the_vote_of_round_0_have_it_cast_anew() -> None:
    debate = launch(options=[])
    rounds.advance(debate.pk)
    while not debate.rounds.get(number=0).ballots.exists():
        run = waiting(debate)
        assert run is not None
        end(run, Script())
        rounds.advance(debate.pk)
    controls.pause(debate)
    debate = play(debate)
    assert debate.status == Debate.Status.PAUSED
    controls.set_options(debate, ["Stay", "Go"])
    controls.resume(debate)
    debate = play(debate, Script(votes=["BBBBB"]))
    assert debate.option_texts["B"] == "Go"
    assert debate.verdict is not None
    assert debate.verdict["text"] == "Go"
