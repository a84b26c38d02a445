"""Defects that tools of this kind have been seen to have. Those about reading replies are the engine's to test."""

import pytest

from debates.consensus import RULES, RoundVotes, Settings, Vote, decide, evaluate, ranking_agreement
from tests.debates.consensus.panels import ballots, course, held, settings


def test_reversed_rankings_are_full_disagreement_not_full_consensus() -> None:
    assert ranking_agreement(["ABCD", "DCBA"]) == -1
    votes = (*ballots("AA", ranking=("A", "B", "C")), *ballots("--CC", ranking=("C", "B", "A"))[2:])
    found = evaluate([RoundVotes(number=0, votes=votes)], settings("ABC", seats=4, rule="ranked"))
    assert found.ranking == pytest.approx(-1 / 3)
    assert (found.decision.winner, found.state) == (None, "none")


def test_dead_tie_is_no_agreement() -> None:
    found = evaluate(course("AABB"), settings(seats=4))
    assert found.ac is not None
    assert found.ac < 0
    assert (found.leader, found.decision.winner) == (None, None)


def test_agents_that_swap_sides_are_not_stable() -> None:
    rounds = course("ABABA", "BAABA", "ABABA")
    found = evaluate(rounds, settings())
    assert [evaluate(rounds[: at + 1], settings()).counts for at in range(3)] == [{"A": 3, "B": 2}] * 3
    assert found.tv == pytest.approx(0.4)
    assert found.stop_reason is None
    assert len(found.flips) == 4


def test_options_of_nearly_the_same_text_are_as_different_as_any() -> None:
    options = ("We should do it.", "We should not do it.")
    votes = tuple(Vote(seat=f"s{at}", option=options[at % 2], confidence=90) for at in range(4))
    found = evaluate([RoundVotes(number=0, votes=votes)], Settings(options=options, seats=4))
    assert found.ac == pytest.approx(-1 / 3)
    assert (found.leader, found.state) == (None, "none")


def test_two_proposals_are_no_consensus_and_neither_are_two_supporters() -> None:
    assert evaluate(course("AB-"), settings(seats=3)).state == "none"
    assert evaluate(course("AABBC", "AABBC"), settings("ABC")).state == "none"
    assert evaluate(course("AA---"), settings()).decision.winner is None


@pytest.mark.parametrize("rule", ["majority", "two-thirds", "three-quarters", "unanimity"])
def test_half_is_no_majority(rule: str) -> None:
    assert decide(ballots("AABC"), settings=settings("ABC", seats=4, rule=rule)).winner is None
    assert RULES[rule].needed(4) >= 3


def test_seat_without_a_ballot_abstains_and_is_counted_for_nobody() -> None:
    votes = (*ballots("AAB"), Vote(seat="s3", option=None, abstained="unparsed"))
    found = evaluate([RoundVotes(number=0, votes=votes)], settings(seats=4))
    assert (found.counts, found.ballots, found.sure) == ({"A": 2, "B": 1}, 3, 3)
    assert found.support == pytest.approx({"A": (0.65 * 2 + 0.35) / 3, "B": (0.35 * 2 + 0.65) / 3})


def test_missing_confidence_is_no_confidence_of_some_size() -> None:
    told = evaluate([held(0, "AAB")], settings(seats=3))
    silent = evaluate([held(0, "AABB", votes={3: {"confidence": None}})], settings(seats=4))
    assert silent.support == told.support
    zero = evaluate([held(0, "AAB", votes={2: {"confidence": 0.0}})], settings(seats=3))
    assert zero.support != told.support
    assert zero.sure == 3


def test_tie_is_broken_neither_by_order_nor_by_name() -> None:
    for options in ("AB", "BA"):
        for cast in ("AABB", "BBAA", "ABAB"):
            found = evaluate(course(cast), settings(options, seats=4, rule="plurality"))
            assert (found.leader, found.decision.winner) == (None, None)
