"""What may begin as a debate, and the words for what may not."""

from typing import Any
from uuid import uuid4

import pytest

from agents.errors import AgentDisabled, ModelUnavailable
from agents.models import Agent
from debates.errors import BadDebate, BudgetTooSmall, TooManyDebates
from debates.launching import Place, suggested_panel
from debates.models import Debate
from tests.debates.pump import VOTERS, Role, launch, make_panel

pytestmark = pytest.mark.django_db


def test_one_question_is_enough() -> None:
    make_panel()
    debate = launch(panel=suggested_panel())
    assert (debate.protocol, debate.rule, debate.belief, debate.max_rounds) == (
        "round-table",
        "three-quarters",
        "stated",
        3,
    )
    assert [seat.role for seat in debate.seats.filter(votes=True)] == list(VOTERS)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"question": "  "}, "Type the question."),
        ({"question": "x" * 4001}, "The question has 4,001 characters; 4,000 is the limit."),
        ({"background": "x" * 20_001}, "The background has 20,001 characters; 20,000 is the limit."),
        ({"options": ["Yes"]}, "A question has 2 to 6 options, or none: then the Moderator finds them."),
        ({"options": ["Yes", " yes "]}, "The option “yes” is there twice."),
        ({"options": ["Yes", ""]}, "Type the option."),
        ({"protocol": "brawl"}, "There is no protocol “brawl”."),
        ({"rule": "loudest"}, "There is no rule “loudest”."),
        ({"belief": "guessed"}, "Belief is one of stated, measured, probe."),
        ({"max_rounds": 6}, "Round table takes 2 to 5 rounds, round 0 included."),
        ({"protocol": "blind-vote", "max_rounds": 2}, "Blind vote takes 1 rounds, round 0 included."),
        ({"max_minutes": 0}, "The minutes: from 1 to 1,440."),
        ({"max_tokens": -1}, "The tokens: from 1 to 10,000,000."),
        ({"speech_tokens": 5}, "The tokens of a speech: from 30 to 2,000."),
        ({"protocol": "oxford", "options": ["A", "B", "C"]}, "Oxford sets 2 sides against each other"),
        ({"protocol": "oxford", "rule": "plurality"}, "Oxford is decided by its judge."),
        ({"rule": "confidence-weighted"}, "Weighing by confidence is locked until each model has 50 settled ballots."),
    ],
)
def test_what_cannot_be_is_refused_in_words(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(BadDebate) as refused:
        launch(**asked)
    assert refused.value.message.startswith(words)
    assert not Debate.objects.exists()


def test_fewer_than_three_voters_are_explained() -> None:
    panel = make_panel("analyst", "skeptic", Role.MODERATOR)
    with pytest.raises(BadDebate, match="2 of the seats have a vote, and 3 is the least"):
        launch(panel=panel)


def test_oxford_needs_a_debater_on_each_side() -> None:
    panel = make_panel("analyst", Role.MODERATOR)
    with pytest.raises(BadDebate, match="at least two debaters"):
        launch(panel=panel, protocol="oxford")


@pytest.mark.parametrize(
    ("protocol", "asked", "missing"),
    [
        ("delphi", {}, "Moderator"),
        ("stress-test", {}, "Devil's Advocate"),
        ("blind-vote", {"options": []}, "Moderator"),
        ("blind-vote", {"rule": "judge"}, "Moderator"),
    ],
)
def test_a_role_that_the_course_needs_is_named(protocol: str, asked: dict[str, Any], missing: str) -> None:
    panel = make_panel(*VOTERS)
    with pytest.raises(BadDebate, match=f"This debate needs a seat for: {missing}."):
        launch(panel=panel, protocol=protocol, **asked)


def test_a_model_that_no_host_has_is_refused_with_those_there_are() -> None:
    panel = make_panel()
    with pytest.raises(ModelUnavailable, match="No model host has the model gpt-9. There are: smollm2:135m."):
        launch(panel=[Place(panel[0].agent, model="gpt-9"), *panel[1:]])


def test_an_agent_that_is_switched_off_takes_no_seat() -> None:
    panel = make_panel()
    panel[0].agent.is_active = False
    with pytest.raises(AgentDisabled):
        launch(panel=panel)


def test_an_agent_without_a_vote_and_a_part_takes_no_seat() -> None:
    panel = make_panel(*VOTERS, "assistant")
    panel[-1].agent.votes = False
    with pytest.raises(BadDebate, match="Assistant has no vote and no part in a debate"):
        launch(panel=panel)


def test_a_budget_that_would_not_last_for_round_0_is_said_before_the_start() -> None:
    with pytest.raises(BudgetTooSmall, match="Round 0 alone takes about"):
        launch(max_tokens=500)
    assert not Debate.objects.exists()


def test_20_000_characters_of_background_are_taken() -> None:
    assert len(launch(background="x" * 20_000, max_tokens=1_000_000).background) == 20_000


def test_the_same_request_twice_is_one_debate() -> None:
    panel, key = make_panel(), uuid4()
    assert launch(panel=panel, key=key) == launch(panel=panel, key=key)
    assert Debate.objects.count() == 1


def test_more_debates_at_once_than_allowed_are_refused(settings: Any) -> None:
    settings.DEBATES_PER_USER = 1
    panel = make_panel()
    launch(panel=panel)
    with pytest.raises(TooManyDebates, match="1 of your debates are under way, and 1 is the limit."):
        launch(panel=panel)


def test_more_debates_an_hour_than_allowed_are_refused(settings: Any) -> None:
    settings.DEBATES_PER_HOUR = 1
    panel = make_panel()
    launch(panel=panel)
    with pytest.raises(TooManyDebates, match="That was the limit of 1 debates an hour"):
        launch(panel=panel)


def test_a_suggested_panel_leaves_out_who_is_switched_off() -> None:
    make_panel()
    Agent.objects.filter(role="skeptic").update(is_active=False)
    assert "skeptic" not in [place.agent.role for place in suggested_panel()]


def test_two_sides_are_assigned_in_turn() -> None:
    debate = launch(panel=make_panel("analyst", "skeptic", "pragmatist", Role.MODERATOR), protocol="oxford")
    assert [(seat.side, seat.votes) for seat in debate.seats.all()] == [
        ("A", False),
        ("B", False),
        ("A", False),
        ("", False),
    ]


def test_aliases_tell_nothing_about_positions() -> None:
    panel = make_panel()
    orders = {tuple(launch(panel=panel).seats.values_list("alias", flat=True)) for _ in range(5)}
    assert len(orders) > 1
