from typing import Any

import pytest

from debates.consensus import RoundVotes, Standing, standings_of
from tests.debates.consensus.panels import course, held, settings


def stand(rounds: list[RoundVotes], **others: Any) -> Standing:
    return standings_of(rounds, settings=settings(**others))[-1]


def states(rounds: list[RoundVotes], **others: Any) -> list[str]:
    return [standing.state for standing in standings_of(rounds, settings=settings(**others))]


def passed(rounds: list[RoundVotes], **others: Any) -> str:
    """The numbers of the gates passed after the last round."""
    return "".join(gate.id[1] for gate in stand(rounds, **others).gates if gate.is_passed)


def words(gate: str, rounds: list[RoundVotes], **others: Any) -> str:
    return next(found.words for found in stand(rounds, **others).gates if found.id == gate)


def test_debate_that_was_discussed_and_challenged_passes_all_gates() -> None:
    assert passed(course("AAAAB", "AAAAB", "AAAAB", challenge=2)) == "12345"


def test_gate_1_wants_a_quorum_of_the_seats() -> None:
    assert passed(course("AAAA-")) == "1235"
    assert passed(course("AAA--")) == "235"
    assert words("G1", course("AAA--")) == "3 of 5 seats voted; 4 must."


def test_gate_2_wants_the_heads_of_the_rule_exactly() -> None:
    assert words("G2", course("AAAAAABB"), seats=8) == "6 of 8 hold A; 6 needed."
    assert "2" in passed(course("AAAAAABB"), seats=8)
    assert "2" not in passed(course("AAAAABBB"), seats=8)
    assert "2" in passed(course("AAAAAABBB"), seats=9, rule="two-thirds")


def test_gate_2_and_those_about_a_leader_are_shut_by_a_tie() -> None:
    tie = course("AABB")
    assert passed(tie, seats=4) == "15"
    assert [words(gate, tie, seats=4) for gate in ("G2", "G3", "G4")] == [
        "No option leads; 3 of 4 needed.",
        "No option leads.",
        "No option leads.",
    ]


def test_gate_3_wants_three_quarters_of_the_confidence_with_the_supporters() -> None:
    even = course("AAAB")
    assert passed(even, seats=4) == "1235"
    surer = [held(0, "AAAB", votes={3: {"confidence": 81.0}})]
    assert passed(surer, seats=4) == "125"
    assert words("G3", even, seats=4) == (
        "Supporters hold 75% of the confidence (75% needed) and are 80% sure on average (55% needed)."
    )


@pytest.mark.parametrize(("confidence", "gates"), [(55.0, "1235"), (54.0, "125"), (0.0, "125")])
def test_gate_3_wants_supporters_that_are_sure_by_what_they_say(confidence: float, gates: str) -> None:
    assert passed([held(0, "AAAAA", votes={at: {"confidence": confidence} for at in range(5)})]) == gates


def test_gate_3_stays_shut_when_no_supporter_says_how_sure_it_is() -> None:
    silent: dict[int, Any] = {at: {"confidence": None} for at in range(4)}
    assert passed([held(0, "AAAAB", votes=silent)]) == "125"
    assert words("G3", [held(0, "AAAAB", votes=silent)]) == "No supporter said how sure it is."
    assert words("G3", [held(0, "AAAAA", votes=silent | {4: {"confidence": None}})]) == (
        "No supporter said how sure it is."
    )


def test_gate_4_wants_an_exchange_and_a_challenge_since_the_leader_emerged() -> None:
    assert words("G4", course("AAAAB")) == "Neither discussed since it leads nor challenged."
    assert words("G4", course("AAAAB", "AAAAB")) == "Discussed since it leads; a challenge is still to be answered."
    alone = [held(0, "AAAAB"), held(1, "AAAAB", is_challenge=True, is_exchange=False)]
    assert words("G4", alone) == "Its challenge was answered; an exchange is still to be held."
    assert "4" in passed(course("AAAAB", "AAAAB", challenge=1))


def test_gate_4_asks_anew_when_the_leader_changes() -> None:
    turned = course("AAAAB", "ABBBB", challenge=1)
    assert "4" not in passed(turned)
    assert stand(turned).since == 1
    tied = course("AAABB", "AABB-", "AAAAB", "AAAAB")
    assert stand(tied).since == 2


def test_gate_5_counts_refuted_claims_that_stand_unanswered() -> None:
    one = [held(0, "AAAAA", refuted_unanswered=frozenset({"c1"}))]
    assert passed(one) == "123"
    assert words("G5", one) == "1 refuted claim that much rests on is unanswered."
    two = [held(0, "AAAAA", refuted_unanswered=frozenset({"c1", "c2"}))]
    assert words("G5", two) == "2 refuted claims that much rests on are unanswered."


def test_consensus_needs_all_gates_in_two_evaluations_in_a_row() -> None:
    rounds = course("AAABB", "AAAAB", "AAAAB", "AAAAB", challenge=2)
    assert states(rounds) == ["none", "leaning", "leaning", "consensus"]
    before = stand(rounds[:-1])
    assert (before.held, before.needed, before.is_one_short) == (1, 2, True)
    assert not stand(rounds).is_one_short


def test_gates_passed_twice_with_a_gap_are_not_in_a_row() -> None:
    rounds = course("AAAAB", "AAAAB", "AAABB", "AAAAB", challenge=1)
    assert [standing.held for standing in standings_of(rounds, settings=settings())] == [0, 1, 0, 1]
    assert states(rounds)[-1] == "leaning"


def test_unanimous_blind_vote_that_survives_its_challenge_is_a_consensus_at_once() -> None:
    assert states(course("AAAAA", "AAAAA", challenge=1)) == ["leaning", "consensus"]
    assert states(course("AAAA-", "AAAAB", challenge=1)) == ["leaning", "consensus"]


def test_unanimous_blind_vote_is_no_consensus_by_itself() -> None:
    assert states(course("AAAAA")) == ["leaning"]
    assert states(course("AAAAA", "AAAAA")) == ["leaning", "leaning"]


def test_blind_vote_of_a_few_is_not_unanimous() -> None:
    assert states(course("AAA--", "AAAAA", challenge=1)) == ["none", "leaning"]


def test_unanimous_blind_vote_that_was_lost_and_won_again_counts_no_more() -> None:
    rounds = course("AAAAA", "AABBB", "AAAAA", "AAAAA", challenge=3)
    assert states(rounds) == ["leaning", "none", "leaning", "leaning"]


def test_consensus_is_kept_down_to_fifteen_points_below_the_rule() -> None:
    reached = course("AAAAA", "AAAAA", challenge=1)
    assert states([*reached, held(2, "AAABB")])[-1] == "consensus"
    assert states([*reached, held(2, "AABBC")], options="ABC")[-1] == "none"
    ten = course("A" * 10, "A" * 10, challenge=1)
    assert states([*ten, held(2, "AAAAAABBBB")], seats=10)[-1] == "consensus"
    assert states([*ten, held(2, "AAAAABBBBB")], seats=10)[-1] == "none"


def test_consensus_is_kept_when_supporters_become_less_sure() -> None:
    reached = course("AAAAA", "AAAAA", challenge=1)
    unsure = held(2, "AAAAA", votes={at: {"confidence": 10.0} for at in range(5)})
    assert states([*reached, unsure])[-1] == "consensus"


def test_consensus_of_a_bare_majority_is_not_kept_below_more_than_half() -> None:
    reached = course("AAAAA", "AAAAA", challenge=1)
    assert states([*reached, held(2, "AABC-")], options="ABC", rule="majority")[-1] == "none"


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (held(2, "AAAAA", refuted_unanswered=frozenset({"c1"})), "leaning"),
        (held(2, "AAA--"), "none"),
        (held(2, "BBBBB"), "leaning"),
    ],
    ids=["a refuted claim", "no quorum", "another leader"],
)
def test_new_blocker_ends_a_consensus(after: RoundVotes, state: str) -> None:
    reached = course("AAAAA", "AAAAA", challenge=1)
    assert states([*reached, after])[-1] == state


def test_consensus_once_left_must_be_reached_anew() -> None:
    reached = course("AAAAB", "AAAAB", "AAAAB", challenge=1)
    blocked = held(3, "AAAAB", refuted_unanswered=frozenset({"c1"}))
    again = [*reached, blocked, held(4, "AAAAB")]
    assert states(again) == ["leaning", "leaning", "consensus", "leaning", "leaning"]
    assert states([*again, held(5, "AAAAB")])[-1] == "consensus"


def test_challenge_is_due_when_a_leader_stands_after_an_exchange_or_from_a_unanimous_start() -> None:
    assert not stand(course("AAAAB")).is_challenge_due
    assert stand(course("AAAAB", "AAAAB")).is_challenge_due
    assert stand(course("AAAAA")).is_challenge_due
    assert not stand(course("AAABB", "AAABB")).is_challenge_due
    assert not stand(course("AAAAA", "ABBBB")).is_challenge_due


def test_challenge_is_due_only_as_often_as_the_protocol_holds_one() -> None:
    rounds = course("AAAAB", "AAAAB", "AAAAB", challenge=2)
    assert not stand(rounds).is_challenge_due
    assert stand(rounds, challenges=2).is_challenge_due
    assert not stand(course("AAAAB", "AAAAB"), challenges=0).is_challenge_due


def test_state_after_a_round_does_not_depend_on_later_ones() -> None:
    rounds = course("AAABB", "AAAAB", "AAAAB", "BBBBA", challenge=2)
    whole = standings_of(rounds, settings=settings())
    assert [stand(rounds[: index + 1]) for index in range(len(rounds))] == whole
