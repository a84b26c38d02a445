from fractions import Fraction
from typing import Any

import pytest

from debates.consensus import Holding, RoundVotes, flips_of, holdings_of, provenance_of
from tests.debates.consensus.panels import course, held

CLAIM = frozenset({"c1"})


def moved(vote: dict[str, Any], *, first: dict[str, Any] | None = None, second: dict[str, Any] | None = None) -> bool:
    """Is the move of the one seat that goes from B to A in round 1 evidenced?"""
    rounds = [held(0, "AAAB", **(first or {})), held(1, "AAAA", votes={3: vote}, **(second or {}))]
    (flip,) = flips_of(rounds)
    assert (flip.seat, flip.round, flip.source, flip.target) == ("s3", 1, "B", "A")
    return flip.is_evidenced


def unevidenced(*rounds: RoundVotes) -> tuple[int, int]:
    source = provenance_of("A", rounds=rounds)
    return source.gained, source.unevidenced


def test_move_that_cites_a_claim_of_the_last_ballots_is_evidenced() -> None:
    assert moved({"cited": CLAIM}, first={"new_claims": CLAIM})


def test_move_that_cites_evidence_injected_before_the_vote_is_evidenced() -> None:
    assert moved({"cited": CLAIM}, second={"new_claims": CLAIM, "evidence": CLAIM})


@pytest.mark.parametrize(
    ("vote", "first"),
    [
        ({}, {"new_claims": CLAIM}),
        ({"cited": frozenset({"c9"})}, {"new_claims": CLAIM}),
        ({"cited": CLAIM, "change_reason": "majority_pressure"}, {"new_claims": CLAIM}),
        ({"cited": CLAIM}, {"new_claims": CLAIM, "votes": {3: {"claims": CLAIM}}}),
        ({"cited": CLAIM}, {"new_claims": CLAIM, "evidence": CLAIM}),
    ],
    ids=["cites nothing", "cites what is nowhere", "gave in", "cites itself", "knew it when it voted last"],
)
def test_move_without_a_claim_new_to_the_seat_is_unevidenced(vote: dict[str, Any], first: dict[str, Any]) -> None:
    assert not moved(vote, first=first)


def test_claim_put_forward_in_the_same_ballots_could_not_be_read_yet() -> None:
    assert not moved({"cited": CLAIM}, second={"new_claims": CLAIM})


def test_claim_stays_new_over_rounds_in_which_the_seat_abstained() -> None:
    rounds = [
        held(0, "AAAB", new_claims=CLAIM),
        held(1, "AAA-", new_claims=frozenset({"c2"})),
        held(2, "AAAA", votes={3: {"cited": frozenset({"c2"})}}),
    ]
    assert [flip.evidence for flip in flips_of(rounds)] == [("c2",)]


def test_shares_are_of_the_blind_vote_and_of_now() -> None:
    source = provenance_of("A", rounds=course("AABBB", "AAAB-"))
    assert source.independent_share == Fraction(2, 5)
    assert source.converged_share == Fraction(3, 4)
    assert source.gain == Fraction(7, 20)
    assert source.unevidenced_share == 1


def test_blind_vote_alone_has_nothing_gained() -> None:
    source = provenance_of("A", rounds=course("AABBB"))
    assert source.gained == source.unevidenced_share == source.gain == 0


def test_shares_of_a_round_in_which_nobody_voted_are_none() -> None:
    source = provenance_of("A", rounds=course("---", "---"))
    assert source.independent_share == source.converged_share == 0


def test_shares_of_a_single_ballot_are_whole() -> None:
    source = provenance_of("A", rounds=course("A--", "A--"))
    assert source.independent_share == source.converged_share == 1


def test_supporter_that_went_away_and_came_back_has_moved() -> None:
    assert unevidenced(*course("AAAA", "BBBA", "AAAA")) == (3, 3)


def test_last_move_to_the_option_is_the_one_that_counts() -> None:
    back = held(2, "AAAA", votes={3: {"cited": CLAIM}})
    assert unevidenced(held(0, "AAAA"), held(1, "AAAB", new_claims=CLAIM), back) == (1, 0)


def test_seat_that_moved_on_is_no_gain() -> None:
    assert unevidenced(*course("AABB", "AAAB", "AABB")) == (0, 0)


def test_first_valid_ballot_after_round_0_is_gained_but_no_flip() -> None:
    rounds = course("AAA-", "AAAA")
    assert unevidenced(*rounds) == (1, 1)
    assert flips_of(rounds) == []


def test_first_valid_ballot_after_round_0_may_cite_anything_it_could_read() -> None:
    late = held(1, "AAAA", votes={3: {"cited": CLAIM}})
    assert unevidenced(held(0, "AAA-", new_claims=CLAIM), late) == (1, 0)
    assert unevidenced(held(0, "AAA-", new_claims=CLAIM, evidence=CLAIM), late) == (1, 0)


def test_supporter_that_abstained_in_between_has_not_moved() -> None:
    assert unevidenced(*course("AAAA", "AAA-", "AAAA")) == (0, 0)


def test_flips_are_listed_by_round_then_seat() -> None:
    found = flips_of(course("AABB", "BABB", "BAAA"))
    assert [(flip.round, flip.seat, flip.source, flip.target) for flip in found] == [
        (1, "s0", "A", "B"),
        (2, "s2", "B", "A"),
        (2, "s3", "B", "A"),
    ]


def test_holdings_say_since_when() -> None:
    assert holdings_of(course("AABB-", "BABBA", "B-AB-")) == [
        Holding("s0", "B", 1),
        Holding("s2", "A", 2),
        Holding("s3", "B", 0),
    ]
