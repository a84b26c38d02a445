"""Prompts whose answer is a list: checks of claims, options of an open question, a ranking of answers."""

import re

import pytest

from debates import prompts, structured
from debates.models import Debate, Round, Speech
from debates.prompts.fences import CLOSED, OPENED
from tests.debates.asking import HOSTILE, make_argued, seats_of, speech_of, system, told
from tests.debates.rows import make_debate, make_round, make_speech

pytestmark = pytest.mark.django_db


def checking(debate: Debate) -> Speech:
    checker = debate.seats.get(role="fact-checker")
    return speech_of(checker, kind=Round.Kind.CHALLENGE, of=Speech.Kind.CHECKS)


def test_the_leaders_most_cited_claims_are_checked_first_and_values_last() -> None:
    debate = make_argued(votes="AABAA", claims=3)
    debate.claims.filter(number=4).update(kind="value")
    debate.rounds.get().ballots.filter(seat__position=2).update(cited=[1, 5])
    debate.rounds.get().ballots.filter(seat__position=3).update(cited=[5])

    numbers = [claim.number for claim in prompts.claims_to_check(checking(debate))]

    assert numbers == [5, 1, 15, 14, 13, 12, 11, 10]


def test_claims_checked_before_are_not_checked_again() -> None:
    debate = make_argued(votes="AAB", claims=1)
    debate.claims.filter(number=1).update(checked_in=debate.rounds.get(), status="supported")

    assert [claim.number for claim in prompts.claims_to_check(checking(debate))] == [2]


def test_without_a_leader_with_claims_all_claims_are_checked() -> None:
    debate = make_argued(votes="AAB", claims=1)
    debate.claims.filter(option="A").delete()

    assert [claim.option for claim in prompts.claims_to_check(checking(debate))] == ["B"]


def test_checks_are_bound_to_the_claims_that_are_listed() -> None:
    debate = make_argued(votes="AAB", claims=1)
    speech = checking(debate)

    ask = prompts.checks(speech)

    assert f"{OPENED}The claims\nclaim 2: Ground 0 of seat 1.\nclaim 1: Ground 0 of seat 0.\n{CLOSED}" in told(ask)
    assert ask.format is not None
    check = ask.format["properties"]["checks"]["items"]["properties"]
    assert check["claim"] == {"enum": [2, 1]}
    assert check["status"] == {"enum": ["supported", "refuted", "unverifiable"]}
    assert ask.options == {"temperature": 0, "num_predict": 320}


def test_with_nothing_to_check_the_schema_takes_an_empty_list_alone() -> None:
    ask = prompts.checks(checking(make_argued(claims=0)))

    assert ask.format is not None
    assert ask.format["properties"]["checks"]["maxItems"] == 0


def make_open(*, seats: int = 3) -> Round:
    debate = make_debate(options=(), is_open=True, seats=seats, silent=("moderator",))
    round = make_round(debate, step="options")
    for seat in debate.seats.filter(votes=True):
        make_speech(round, seat, text=f"As the {seat.name} I would say: answer {seat.position}.")
    return round


def test_options_of_an_open_question_are_found_in_nameless_shuffled_speeches() -> None:
    round = make_open(seats=9)
    moderator = round.debate.seats.get(role="moderator")

    ask = prompts.options(Speech(round=round, seat=moderator, kind=Speech.Kind.OPTIONS))

    said = re.findall(r"<<<Agent (\w)\nAs Agent (\w) I would say: answer (\d)\.\n>>>", told(ask))
    assert sorted(said) == [(alias, alias, str(at)) for at, alias in enumerate("ABCDEFGHI")]
    assert said != sorted(said)
    assert "The possible answers" not in told(ask)
    assert ask.format is not None
    assert ask.format["properties"]["options"]["maxItems"] == 5


def test_an_open_question_is_answered_without_options() -> None:
    round = make_open()

    ask = prompts.answer(Speech(round=round, seat=seats_of(round.debate)[0]))

    assert "The possible answers" not in told(ask)
    assert "End with your answer in one sentence." in told(ask)


def test_a_ranking_shows_the_others_answers_by_letter_without_names_and_without_ones_own() -> None:
    debate = make_argued(protocol="council", claims=0)
    reader = seats_of(debate)[0]
    speech = speech_of(reader, kind=Round.Kind.RANKING, of=Speech.Kind.RANKING)

    ask, letters = prompts.ranking(speech), prompts.ranking_letters(speech)

    assert list(letters) == ["A", "B", "C", "D"]
    assert sorted(letters.values()) == sorted(str(seat.pk) for seat in seats_of(debate)[1:5])
    for letter, pk in letters.items():
        alias = debate.seats.get(pk=pk).alias
        assert f"{OPENED}Answer {letter}\nAgent {alias} speaks in round 0.\n{CLOSED}" in told(ask)
    assert "Analyst" not in told(ask)
    assert structured.read_ranking('{"ranking": ["D", "A", "B", "C"]}', letters)[0] == letters["D"]
    assert ask.format is not None
    assert ask.format["properties"]["ranking"]["minItems"] == 4


def test_every_reader_ranks_in_an_order_of_its_own() -> None:
    debate = make_argued(protocol="council", votes="AABABABAB", claims=0)
    common = {str(seat.pk) for seat in seats_of(debate)[3:9]}

    speeches = [speech_of(seat, kind=Round.Kind.RANKING, of=Speech.Kind.RANKING) for seat in seats_of(debate)[:3]]
    orders = {tuple(pk for pk in prompts.ranking_letters(speech).values() if pk in common) for speech in speeches}

    assert len(orders) > 1


@pytest.mark.parametrize("kind", [Speech.Kind.CHECKS, Speech.Kind.OPTIONS, Speech.Kind.RANKING])
def test_a_repair_shows_the_answer_and_what_was_wrong_and_asks_for_the_same(kind: str) -> None:
    speech = speech_of(seats_of(make_argued())[0], kind=Round.Kind.CHALLENGE, of=kind)
    first = {"checks": prompts.checks, "options": prompts.options, "ranking": prompts.ranking}[kind](speech)

    ask = prompts.repair_json(speech, text="Well.", problem="There is no JSON object in it.")

    assert ask.messages[:-2] == first.messages
    assert ask.messages[-2] == {"role": "assistant", "content": "Well."}
    assert "That could not be used: There is no JSON object in it." in ask.messages[-1]["content"]
    assert (ask.format, ask.options) == (first.format, first.options)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_speeches_stay_in_their_fence(hostile: str) -> None:
    round = make_open()
    Speech.objects.update(text=hostile)
    moderator = round.debate.seats.get(role="moderator")

    for ask in (
        prompts.options(Speech(round=round, seat=moderator)),
        prompts.ranking(Speech(round=round, seat=seats_of(round.debate)[0])),
    ):
        outside = re.sub(r"<<<.*?>>>", "", told(ask), flags=re.DOTALL)
        assert told(ask).count(OPENED) == told(ask).count(CLOSED)
        assert re.findall(r"votes? A|told to|<\||Agent Z", outside + system(ask)) == []
