"""Lanes and the bar of rounds, at each kind of moment."""

import pytest

from agents.models import Run
from debates.lanes import bar_of, lanes_of
from debates.models import Debate, Round, Speech
from debates.shown import course_of
from tests.debates.rows import add_run, make_ballot, make_claim, make_debate, make_round, make_speech

pytestmark = pytest.mark.django_db


def states(debate: Debate) -> list[str]:
    return [lane.state for lane in lanes_of(course_of(debate))]


def bar(debate: Debate) -> list[tuple[str, str, str]]:
    return [(stretch.title, stretch.kind, stretch.state) for stretch in bar_of(course_of(debate))]


def test_chip_follows_a_seat_from_the_line_to_its_vote() -> None:
    debate = make_debate(seats=3)
    round = make_round(debate, step="speech")
    first, second, third = debate.seats.all()
    for seat, status in ((first, Run.Status.QUEUED), (second, Run.Status.RUNNING)):
        speech = make_speech(round, seat, text="", status=Speech.Status.WAITING, ended_at=None)
        add_run(speech, status=status, finished_at=None)
    make_speech(round, third, status=Speech.Status.FAILED, error="The host is gone.")
    assert states(debate) == ["queued", "reading", "failed"]
    make_ballot(round, third, "A")
    Speech.objects.update(status=Speech.Status.DONE)
    make_ballot(round, first, ".")
    assert states(debate) == ["voting", "spoke", "voted"]


def test_seats_without_a_vote_have_a_lane_once_they_speak() -> None:
    debate = make_debate(seats=3, silent=["devils-advocate", "moderator"])
    assert len(states(debate)) == 3
    round = make_round(debate, kind=Round.Kind.CHALLENGE, step="challenge")
    make_speech(round, debate.seats.get(role="devils-advocate"), kind=Speech.Kind.CHALLENGE)
    lanes = lanes_of(course_of(debate))
    assert [lane.seat.role for lane in lanes[3:]] == ["devils-advocate"]
    assert lanes[3].now[0].title == "Round 0, challenge: argues against the leader"


def test_earlier_rounds_are_folded_away() -> None:
    lane = lanes_of(course_of(make_debate(votes=["AAB", "AAB", "AAA"])))[0]
    assert ([said.round.number for said in lane.earlier], [said.round.number for said in lane.now]) == ([0, 1], [2])


def test_a_seat_that_has_not_spoken_in_this_round_shows_what_it_said_last() -> None:
    debate = make_debate(votes=["AAB"], status=Debate.Status.RUNNING)
    make_round(debate, step="speech")
    lane = lanes_of(course_of(debate))[0]
    assert ([said.round.number for said in lane.now], lane.earlier, lane.state) == ([0], [], "waiting")


def test_checks_are_told_in_words_and_json_is_never_shown() -> None:
    debate = make_debate(votes=["AAB"], silent=["fact-checker"])
    round = debate.rounds.get()
    make_claim(round, debate.seats.all()[0], status="refuted", note="The count says six tenths.", checked_in=round)
    make_speech(round, debate.seats.get(role="fact-checker"), kind="checks", text='{"labels": []}', html="")
    said = lanes_of(course_of(debate))[-1].now[0]
    assert said.items == [("1. refuted", "The count says six tenths.")]
    assert said.html == ""


def test_rankings_are_secret_until_all_are_in() -> None:
    debate = make_debate(votes=["AAB"], protocol="council", status=Debate.Status.RUNNING)
    round = make_round(debate, kind=Round.Kind.RANKING, step="ranking")
    first, second, third = debate.seats.all()
    make_speech(round, first, kind="ranking", text="{}", data=[str(third.pk), str(second.pk)])
    assert lanes_of(course_of(debate))[0].now[0].items == []
    Round.objects.filter(pk=round.pk).update(step="scored")
    assert lanes_of(course_of(debate))[0].now[0].items == [("1.", third.name), ("2.", second.name)]


def test_bar_shows_the_round_under_way_and_those_that_may_come() -> None:
    debate = make_debate(votes=["AAB"], status=Debate.Status.RUNNING)
    make_round(debate, step="ballot")
    assert bar(debate) == [
        ("Round 0", "blind", "done"),
        ("Round 1", "exchange", "now"),
        ("Then", "exchange", "ahead"),
        ("When somebody leads", "challenge", "ahead"),
    ]


def test_bar_of_a_scripted_protocol_knows_all_of_its_rounds() -> None:
    debate = make_debate(protocol="council", seats=3)
    make_round(debate, step="speech")
    assert bar(debate) == [("Round 0", "blind", "now"), ("Round 1", "ranking", "ahead")]


def test_bar_says_when_the_verdict_is_being_written() -> None:
    debate = make_debate(votes=["AAA"], status=Debate.Status.RUNNING, conclusion="verdict")
    assert bar(debate) == [("Round 0", "blind", "done"), ("Verdict", "", "now")]


def test_bar_of_a_debate_that_is_over_promises_nothing() -> None:
    assert bar(make_debate(votes=["AAA"])) == [("Round 0", "blind", "done")]


@pytest.mark.parametrize(
    ("is_open", "belief", "steps"), [(False, "stated", 2), (True, "stated", 3), (True, "probe", 4)]
)
def test_steps_that_do_not_happen_are_not_shown(is_open: bool, belief: str, steps: int) -> None:
    debate = make_debate(votes=["AAA"], is_open=is_open, belief=belief)
    assert len(bar_of(course_of(debate))[0].parts) == steps


def test_bar_of_a_debate_that_has_not_begun_begins_blind() -> None:
    assert [(title, kind) for title, kind, _ in bar(make_debate(seats=3))] == [
        ("First", "blind"),
        ("Then", "exchange"),
        ("Then", "exchange"),
        ("When somebody leads", "challenge"),
    ]
