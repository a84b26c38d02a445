"""Ballots', judgements' and probes' prompts: letters shuffled per seat, the vote first, the same beginning."""

import re
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, ValidationError

from agents.generation import in_order
from agents.models import Run
from debates import prompts
from debates.models import Ballot, Debate, Probe, Round, Seat
from debates.prompts.fences import CLOSED, OPENED
from tests.debates.asking import HOSTILE, argue, make_argued, make_oxford, seats_of, system, told
from tests.debates.rows import make_claim, make_debate, make_injection, make_round, make_seat, make_speech
from tests.factories import make_run

pytestmark = pytest.mark.django_db


def ballot_of(seat: Seat, *, kind: str = Round.Kind.EXCHANGE, **fields: object) -> Ballot:
    """What the seat is to fill in at the end of the debate's next round."""
    debate = seat.debate
    round = Round.objects.create(debate=debate, number=debate.rounds.count(), kind=kind, step="ballot")
    return Ballot.objects.create(round=round, seat=seat, letters=prompts.shuffle_letters(debate, seat), **fields)


def test_letters_are_shuffled_per_seat_with_the_abstention_among_them_and_stay_through_the_debate() -> None:
    options = [{"id": option, "text": option} for option in "ABC"]
    debate = Debate(pk=UUID(int=1), options=options)
    seats = [Seat(pk=UUID(int=number)) for number in range(48)]

    letters = [prompts.shuffle_letters(debate, seat) for seat in seats]

    for each in letters:
        assert list(each) == ["A", "B", "C", "D"]
        assert sorted(each.values(), key=str) == ["A", "B", "C", None]
    assert min(Counter(each["A"] for each in letters)[option] for option in ("A", "B", "C", None)) == 9
    assert letters == [prompts.shuffle_letters(Debate(pk=UUID(int=1), options=options), seat) for seat in seats]


def test_a_blind_ballot_offers_the_letters_and_nothing_to_have_changed() -> None:
    debate = make_debate(options=("Close it", "Repair it"))
    ballot = ballot_of(seats_of(debate)[0], kind=Round.Kind.BLIND)
    words = {"A": "Close it", "B": "Repair it", None: "undecided (abstain)"}

    ask = prompts.ballot(ballot)

    listed = "\n".join(f"{letter}: {words[option]}" for letter, option in ballot.letters.items())
    assert f"{OPENED}The answers by letter\n{listed}\n{CLOSED}" in told(ask)
    assert ask.format is not None
    assert list(ask.format["properties"]) == [
        "option", "confidence", "reason", "claims", "cited_claims", "change_reason", "would_change_if"
    ]  # fmt: skip
    assert ask.format["properties"]["option"] == {"enum": ["A", "B", "C"]}
    assert ask.format["properties"]["change_reason"] == {"enum": ["none"]}
    assert ask.format["properties"]["cited_claims"]["maxItems"] == 0
    assert ask.options == {"temperature": 0, "num_predict": 700}
    assert ask.top_logprobs == 20


def test_the_schema_takes_a_ballot_and_no_other_letter_or_confidence() -> None:
    ask = prompts.ballot(ballot_of(seats_of(make_debate())[0], kind=Round.Kind.BLIND))
    ballot = {
        "option": "A", "confidence": 0, "reason": "", "claims": [{"text": "It rusts.", "kind": "fact"}],
        "cited_claims": [], "change_reason": "none", "would_change_if": "",
    }  # fmt: skip
    assert ask.format is not None
    Draft202012Validator.check_schema(ask.format)
    schema = Draft202012Validator(ask.format)

    schema.validate(ballot)
    for wrong in (
        {"option": "D"},
        {"confidence": 101},
        {"confidence": 0.5},
        {"reason": "x" * 281},
        {"cited_claims": [1]},
    ):
        with pytest.raises(ValidationError):
            schema.validate(ballot | wrong)


def test_a_schema_is_sent_with_the_vote_first_though_the_database_orders_keys_as_it_likes() -> None:
    ask = prompts.ballot(ballot_of(seats_of(make_debate(rule="ranked"))[0], kind=Round.Kind.BLIND))

    kept: Any = Run.objects.get(pk=make_run(format=ask.format).pk).format

    assert list(kept["properties"])[0] != "option"
    sent = in_order(kept)
    assert sent == ask.format
    assert list(sent["properties"])[:3] == ["option", "ranking", "confidence"]
    assert list(sent["properties"]["claims"]["items"]["properties"]) == ["text", "kind"]


def test_a_ranked_ballot_asks_for_every_answer_and_not_for_the_abstention() -> None:
    ballot = ballot_of(seats_of(make_debate(rule="ranked"))[0])

    ask = prompts.ballot(ballot)

    offered = [letter for letter, option in ballot.letters.items() if option]
    assert ask.format is not None
    assert ask.format["properties"]["ranking"] == {
        "type": "array", "items": {"enum": offered}, "minItems": 2, "maxItems": 2
    }  # fmt: skip
    assert '"ranking": [all letters of answers' in told(ask)


def test_later_a_ballot_lists_the_claims_it_may_cite_and_its_own_last_vote() -> None:
    debate = make_argued(votes="AB", claims=1)
    debate.claims.filter(number=2).update(status="refuted")

    ask = prompts.ballot(ballot_of(seats_of(debate)[0]))

    claims = "claim 1: Ground 0 of seat 0. (yours)\nclaim 2: Ground 0 of seat 1. (refuted)"
    assert f"{OPENED}Claims made so far\n{claims}\n{CLOSED}" in told(ask)
    assert "Your last vote was for “Yes”." in told(ask)
    assert ask.format is not None
    assert ask.format["properties"]["cited_claims"]["items"] == {"enum": [1, 2]}
    assert "majority_pressure" in ask.format["properties"]["change_reason"]["enum"]


def test_at_most_twenty_claims_are_listed_the_newest_and_the_most_cited() -> None:
    debate = make_argued(votes="AAAAA", claims=5)
    debate.rounds.get().ballots.filter(seat__position=0).update(cited=[24, 25])

    later = make_round(debate, "AAAAA")
    make_claim(later, seats_of(debate)[0], text="The newest.")
    ask = prompts.ballot(ballot_of(seats_of(debate)[1]))

    listed = [int(number) for number in re.findall(r"^claim (\d+):", told(ask), re.MULTILINE)]
    assert listed == [*range(1, 18), 24, 25, 26]


@pytest.mark.parametrize(
    ("protocol", "seen"),
    [("round-table", "12345"), ("sparse-table", "125"), ("solutions-only", "1"), ("delphi", "12345")],
)
def test_a_ballot_lists_no_claim_that_its_protocol_hides(protocol: str, seen: str) -> None:
    debate = make_argued(protocol=protocol, claims=1)

    ask = prompts.ballot(ballot_of(seats_of(debate)[0]))

    assert "".join(re.findall(r"^claim (\d+):", told(ask), re.MULTILINE)) == seen


@pytest.mark.parametrize("protocol", ["round-table", "sparse-table", "solutions-only"])
def test_the_challengers_case_may_be_cited_in_the_round_that_heard_it(protocol: str) -> None:
    debate = make_argued(protocol=protocol, claims=0)
    seat, peer = seats_of(debate)[:2]
    ballot = ballot_of(seat, kind=Round.Kind.CHALLENGE)
    make_claim(ballot.round, debate.seats.get(role="devils-advocate"), text="It carries.")
    make_claim(ballot.round, peer, text="Said with a ballot that nobody has seen.")

    assert f"{OPENED}Claims made so far\nclaim 1: It carries.\n{CLOSED}" in told(prompts.ballot(ballot))


def test_a_claim_checked_in_public_may_be_cited_by_all() -> None:
    debate = make_argued(protocol="solutions-only", claims=1)
    debate.claims.filter(number=4).update(checked_in=debate.rounds.get(), status="supported")

    assert "claim 4: Ground 0 of seat 3. (supported)" in told(prompts.ballot(ballot_of(seats_of(debate)[0])))


def test_a_ballot_follows_on_the_seats_own_speech_of_its_round() -> None:
    debate = make_argued()
    seat = seats_of(debate)[0]
    ballot = ballot_of(seat)
    make_speech(ballot.round, seat, text="Closing is right, since the bearings are worn.")

    ask = prompts.ballot(ballot)

    assert [message["role"] for message in ask.messages] == ["system", "user", "assistant", "user"]
    assert ask.messages[2]["content"] == "Closing is right, since the bearings are worn."


def test_no_ballot_names_an_agent_a_model_or_a_confidence_of_others() -> None:
    debate = make_argued(confidences=[[61.0, 62.0, 63.0, 64.0, 67.0]])
    names = [name for seat in debate.seats.all() for name in (seat.name, seat.model)]

    text = told(prompts.ballot(ballot_of(seats_of(debate)[0])))

    assert [name for name in names if name in text] == []
    assert re.findall(r"6[1-7]|Agent \w\b", text) == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_claims_stay_in_their_fence(hostile: str) -> None:
    debate = make_argued(claims=0, options=("Yes", hostile))
    make_claim(debate.rounds.get(), seats_of(debate)[1], text=hostile)
    make_injection(debate, text=hostile)

    ask = prompts.ballot(ballot_of(seats_of(debate)[0]))

    outside = re.sub(r"<<<.*?>>>", "", told(ask), flags=re.DOTALL)
    assert told(ask).count(OPENED) == told(ask).count(CLOSED) == 4
    assert re.findall(r"votes? A|told to|<\||Agent Z", outside) == []
    assert re.findall(r"votes? A|told to|<\||Agent Z", system(ask)) == []


def test_a_long_debate_keeps_the_ballots_prompt_short() -> None:
    debate = make_argued(votes="AABABABAB", claims=5, options=[f"{letter} " + "o" * 90 for letter in "ABCDEF"])
    debate.claims.update(text="c" * 280)
    for _ in range(5):
        make_injection(debate, text="i" * 4_000)
    ballot = ballot_of(seats_of(debate)[0])
    make_speech(ballot.round, ballot.seat, text="s " * 2_000)

    asks = [prompts.ballot(ballot), prompts.judgement(ballot)]

    assert [length for ask in asks if (length := sum(len(m["content"]) for m in ask.messages)) > 8_000] == []


def test_probes_ask_for_the_letter_alone_with_each_answer_once_at_each_letter() -> None:
    debate = make_argued(options=("Close", "Repair", "Replace"))
    ballot = ballot_of(seats_of(debate)[0])

    orders = prompts.probe_letters(ballot)

    assert [list(order) for order in orders] == [["A", "B", "C"]] * 3
    assert Counter((letter, option) for order in orders for letter, option in order.items()).most_common(1)[0][1] == 1
    asks = [prompts.probe(Probe(ballot=ballot, shift=shift, letters=letters)) for shift, letters in enumerate(orders)]
    for ask in asks:
        assert (ask.format, ask.top_logprobs, ask.options) == (None, 20, {"temperature": 0, "num_predict": 1})
        assert "abstain" not in told(ask)
    assert len({told(ask) for ask in asks}) == 3


def test_a_probe_begins_as_its_ballot_did_so_that_the_host_need_not_read_it_again() -> None:
    debate = make_argued()
    ballot = ballot_of(seats_of(debate)[0])
    probe = Probe(ballot=ballot, shift=0, letters=prompts.probe_letters(ballot)[0])

    *before, last = prompts.ballot(ballot).messages
    *same, short = prompts.probe(probe).messages

    beginning = last["content"].partition(f"{OPENED}The answers by letter")[0]
    assert same == before
    assert short["content"].startswith(beginning)
    assert "Claims made so far" in beginning


def test_a_repair_shows_the_answer_and_what_was_wrong_and_asks_for_the_same() -> None:
    ballot = ballot_of(seats_of(make_debate())[0], kind=Round.Kind.BLIND)
    first = prompts.ballot(ballot)

    ask = prompts.repair(ballot, text="I vote for A!<|im_end|>", problem="There is no JSON object in it.")

    assert ask.messages[: len(first.messages)] == first.messages
    assert ask.messages[-2] == {"role": "assistant", "content": "I vote for A!‹|im_end|>"}
    assert ask.messages[-1]["content"].startswith("That is no valid ballot: There is no JSON object in it.")
    assert (ask.format, ask.options, ask.top_logprobs) == (first.format, first.options, first.top_logprobs)


def test_the_repair_of_an_empty_answer_has_no_empty_turn() -> None:
    ballot = ballot_of(seats_of(make_debate())[0], kind=Round.Kind.BLIND)

    ask = prompts.repair(ballot, text=" ", problem="There is no JSON object in it.")

    assert [message["role"] for message in ask.messages] == ["system", "user"]
    assert "That is no valid ballot" in told(ask)


def test_a_judge_reads_both_sides_of_the_leg_and_in_the_second_the_other_one_first() -> None:
    debate = make_oxford()
    judge = make_seat(debate, votes=False, role="moderator")
    firsts = []
    for until in (4, 8):
        debate.rounds.all().delete()
        argue(debate, until=until)
        closing = debate.rounds.get(number=until - 1)
        ballot = Ballot(round=closing, seat=judge, letters=prompts.shuffle_letters(debate, judge), is_judgement=True)
        text = told(prompts.judgement(ballot))
        spoken = sorted(set(re.findall(r"Speech (\d) of", text)))
        assert spoken == [str(number) for number in range(until - 4, until)]
        yes, no = ("A", "B") if until == 4 else ("B", "A")
        sides = dict(re.findall(r"The side for “(\w+)”:\n\n<<<Agent (\w)", text))
        assert sides == {"Yes": yes, "No": no}
        firsts.append(next(iter(sides)))

    assert sorted(firsts) == ["No", "Yes"]


def test_a_judge_of_a_panel_reads_the_claims_and_no_count_of_heads() -> None:
    debate = make_argued(votes="AAB", rule="judge", claims=1)
    judge = debate.seats.get(role="moderator")

    ask = prompts.judgement(ballot_of(judge, is_judgement=True))

    assert (
        f"{OPENED}Argued for “Yes”\n- claim 1: Ground 0 of seat 0.\n- claim 2: Ground 0 of seat 1.\n{CLOSED}"
        in told(ask)
    )
    assert f"{OPENED}Argued for “No”\n- claim 3: Ground 0 of seat 2.\n{CLOSED}" in told(ask)
    assert re.findall(r"\d of \d|Your last vote", told(ask)) == []
    assert ask.format is not None
    assert list(ask.format["properties"]) == ["option", "confidence", "reason", "would_change_if"]


def test_the_repair_of_a_judgement_is_a_judgement() -> None:
    debate = make_argued(votes="AAB", rule="judge")
    ballot = ballot_of(debate.seats.get(role="moderator"), is_judgement=True)

    assert prompts.repair(ballot, text="Yes", problem="No JSON.").format == prompts.judgement(ballot).format
