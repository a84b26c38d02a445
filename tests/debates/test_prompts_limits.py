"""Speeches' prompts: what the owner added, lengths, decisions that stand, hostile words in their fences."""

import re

import pytest

from debates import prompts
from debates.models import Injection, Round, Speech
from debates.prompts.fences import CLOSED, OPENED
from tests.debates.asking import HOSTILE, argue, make_argued, make_oxford, seats_of, speech_of, system, told
from tests.debates.rows import make_claim, make_debate, make_injection, make_seat, make_speech

pytestmark = pytest.mark.django_db


def test_what_the_owner_added_is_put_before_everybody_as_data() -> None:
    debate = make_argued()
    make_injection(debate, text="It rusts.")
    make_injection(debate, kind=Injection.Kind.QUESTION, text="Who pays?")

    text = told(prompts.answer(speech_of(seats_of(debate)[0])))

    assert f"{OPENED}New evidence from who asked\nIt rusts.\n{CLOSED}" in text
    assert f"{OPENED}A question from who asked\nWho pays?\n{CLOSED}\n\nAnswer that question too." in text


def test_a_long_background_is_shortened_before_everybodys_eyes() -> None:
    debate = make_debate(background="x" * 20_000)

    text = told(prompts.answer(speech_of(seats_of(debate)[0], kind=Round.Kind.BLIND)))

    assert "[shortened: first 6,000 of 20,000 characters]" in text
    assert len(text) < 7_000
    assert prompts.shortened(debate) == "The background is shortened for the agents: first 6,000 of 20,000 characters."


def test_what_is_shown_whole_is_not_said_to_be_shortened() -> None:
    debate = make_debate(background="x" * 6_000)
    make_injection(debate, text="y" * 400)

    assert prompts.shortened(debate) == ""


def test_additions_beyond_three_and_long_ones_are_said_to_be_shortened() -> None:
    debate = make_debate()
    make_injection(debate, text="y" * 401)
    for _ in range(3):
        make_injection(debate)

    assert prompts.shortened(debate) == (
        "Added evidence is shortened for the agents: first 400 of 401 characters. "
        "Of 4 additions the agents see the newest 3."
    )


def test_however_much_is_said_a_prompt_stays_short() -> None:
    debate = make_argued(votes="AABABABAB", claims=3, options=[f"{letter} " + "o" * 90 for letter in "ABCDEF"])
    debate.claims.update(text="c" * 280)
    Speech.objects.update(text="s " * 2_000)
    for _ in range(5):
        make_injection(debate, text="i" * 4_000)
    speech = speech_of(seats_of(debate)[0], kind=Round.Kind.CHALLENGE)
    make_speech(speech.round, debate.seats.get(role="devils-advocate"), kind=Speech.Kind.CHALLENGE, text="d " * 3_000)
    debate.claims.filter(number__lte=8).update(status="refuted", note="n" * 200, checked_in=speech.round)
    moderator = debate.seats.get(role="moderator")

    asks = [
        prompts.answer(speech),
        prompts.challenge(Speech(round=speech.round, seat=moderator)),
        prompts.checks(Speech(round=speech.round, seat=moderator)),
        prompts.options(Speech(round=speech.round, seat=moderator)),
        prompts.statistics(Speech(round=speech.round, seat=moderator)),
        prompts.ranking(Speech(round=speech.round, seat=seats_of(debate)[0])),
        prompts.verdict(Speech(round=speech.round, seat=moderator)),
    ]

    lengths = [sum(len(message["content"]) for message in ask.messages) for ask in asks]
    assert [length for length in lengths if length > 7_500] == []


def test_the_moderator_writes_up_a_decision_that_it_cannot_change() -> None:
    debate = make_argued(votes="AAB")
    debate.verdict = {"option": "A", "decided": True}
    debate.save()
    moderator = debate.seats.get(role="moderator")

    text = told(prompts.verdict(Speech(round=debate.rounds.get(), seat=moderator, kind=Speech.Kind.VERDICT)))

    assert "The panel has decided, and this is fixed: “Yes”. You cannot change this decision" in text
    assert f"{OPENED}Reasons for “No”\n" in text
    assert "- 2 of 3: Yes\n- 1 of 3: No" in text


def test_without_a_decision_the_moderator_may_name_no_winner() -> None:
    debate = make_argued(votes="AB")
    moderator = debate.seats.get(role="moderator")

    for verdict in (None, {"option": None, "decided": False}, {"option": "Z"}):
        debate.verdict = verdict
        speech = Speech(round=Round(debate=debate, number=1), seat=moderator, kind=Speech.Kind.VERDICT)
        assert "The panel has come to no decision, and this is fixed" in told(prompts.verdict(speech))


def test_a_write_up_of_judgements_is_given_the_judges_reasons() -> None:
    debate = make_oxford()
    argue(debate, until=4)
    judge = make_seat(debate, votes=False, role="moderator")
    closing = debate.rounds.get(number=3)
    judge.ballots.create(round=closing, status="cast", option="A", is_judgement=True, reason="Better answered.")

    text = told(prompts.verdict(Speech(round=closing, seat=judge, kind=Speech.Kind.VERDICT)))

    assert f"{OPENED}The judge's reasons\n- Better answered.\n{CLOSED}" in text


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("protocol", ["round-table", "sparse-table", "delphi"])
def test_hostile_words_stay_in_their_fence_and_out_of_the_system_turn(hostile: str, protocol: str) -> None:
    debate = make_argued(protocol=protocol, claims=0, background=hostile)
    debate.rounds.get().ballots.update(reason=hostile)
    make_injection(debate, text=hostile)
    make_claim(debate.rounds.get(), seats_of(debate)[1], text=hostile)
    speech = speech_of(seats_of(debate)[0])
    make_speech(speech.round, debate.seats.get(role="moderator"), kind=Speech.Kind.STATISTICS, text=hostile)

    ask = prompts.answer(speech)

    fenced = re.findall(r"<<<.*?>>>", told(ask), re.DOTALL)
    outside = re.sub(r"<<<.*?>>>", "", told(ask), flags=re.DOTALL)
    assert told(ask).count(OPENED) == told(ask).count(CLOSED) == len(fenced)
    assert re.findall(r"[Vv]otes? A|told to|<\||Agent Z", outside) == []
    assert re.findall(r"[Vv]otes? A|told to|<\||Agent Z", system(ask)) == []
    assert re.findall(r"<\|", told(ask)) == []
    assert [text for text in fenced if "vote" in text.lower() or "told to" in text]
