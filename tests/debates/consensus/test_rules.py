from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debates.consensus import RULES, SETTLED_BALLOTS, Calibration, Decision, decide, heads_needed, is_locked, quorum
from tests.debates.consensus.panels import ballots, settings

CALIBRATED = Calibration(SETTLED_BALLOTS, (0.0, 1.0), (0.0, 1.0))


def decided(options: str, rule: str, *, among: str = "ABC", seats: int | None = None, **others: Any) -> Decision:
    given = settings(among, seats=len(options) if seats is None else seats, rule=rule, **others)
    return decide(ballots(options), settings=given)


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ("majority", {3: 2, 4: 3, 5: 3, 8: 5, 9: 5}),
        ("two-thirds", {3: 2, 4: 3, 6: 4, 9: 6, 10: 7}),
        ("three-quarters", {3: 3, 4: 3, 5: 4, 8: 6, 9: 7, 12: 9}),
        ("unanimity", {3: 3, 4: 4, 9: 9}),
        ("plurality", {8: 6}),
        ("ranked", {8: 6}),
    ],
)
def test_heads_that_each_rule_needs_for_a_consensus_are_exact(rule: str, needed: dict[int, int]) -> None:
    assert {ballots: RULES[rule].needed(ballots) for ballots in needed} == needed


@given(st.integers(0, 300), st.fractions(0, 1))
def test_needed_heads_are_the_least_that_reach_the_share_and_more_than_half(ballots: int, share: Fraction) -> None:
    needed = heads_needed(share, ballots)
    assert needed >= share * ballots
    assert 2 * needed > ballots
    assert needed - 1 < share * ballots or 2 * (needed - 1) <= ballots


@pytest.mark.parametrize(("seats", "least"), [(1, 3), (3, 3), (4, 3), (5, 4), (6, 4), (7, 5), (9, 6), (10, 7)])
def test_quorum_is_two_thirds_rounded_up_and_three_at_least(seats: int, least: int) -> None:
    assert quorum(seats) == least


def test_share_rules_say_what_is_there_and_what_is_needed() -> None:
    found = decided("BBBBBBAAC", "three-quarters")
    assert found == Decision(None, "6 of 9 hold B; 7 needed.", 9, 6, 7)
    assert decided("BBBBBBBAC", "three-quarters") == Decision("B", "7 of 9 hold B; 7 needed.", 9, 7, 7)


@pytest.mark.parametrize(
    ("options", "rule", "winner"),
    [
        ("AAABB", "majority", "A"),
        ("AAABBC", "majority", None),
        ("AAABBC", "plurality", "A"),
        ("AABBC", "plurality", None),
        ("AAAAAABBB", "two-thirds", "A"),
        ("AAAAABBBB", "two-thirds", None),
        ("AAAA", "unanimity", "A"),
        ("AAAB", "unanimity", None),
        ("AAA-", "unanimity", "A"),
    ],
)
def test_head_counting_rules_decide(options: str, rule: str, winner: str | None) -> None:
    assert decided(options, rule).winner == winner


def test_plurality_says_how_many_would_lead() -> None:
    assert decided("AAABBC", "plurality").reason == "3 of 6 hold A; 3 needed, one more than the next."
    tie = decided("AABBC", "plurality")
    assert (tie.reason, tie.held, tie.needed) == ("A and B have equally many; a tie is no decision.", 2, 3)


def test_tie_of_three_names_them_all() -> None:
    assert decided("AABBCC", "majority").reason == (
        "A, B and C have equally many; a tie is no decision. 4 of 6 needed."
    )


@pytest.mark.parametrize("rule", [name for name in RULES if name != "judge"])
def test_without_a_quorum_nothing_is_decided(rule: str) -> None:
    found = decided("AAA--", rule)
    assert (found.winner, found.reason) == (None, "3 of 5 seats voted; 4 must.")


def test_judge_decides_without_a_quorum_and_is_flagged() -> None:
    assert decided("AB", "judge", judged="B") == Decision("B", "The judge chose B.", 2)
    assert decided("AB", "judge") == Decision(None, "The judge has not decided.", 2)
    assert RULES["judge"].flag


def test_ranked_rule_asks_for_rankings() -> None:
    found = decided("AAA", "ranked")
    assert (found.winner, found.reason) == (None, "Nobody ranked the options.")


def test_ranked_rule_elects_what_no_other_beats() -> None:
    votes = ballots("AAABB", ranking=("A", "B", "C"))
    found = decide(votes, settings=settings("ABC", rule="ranked"))
    assert (found.winner, found.reason, found.held) == ("A", "No option beats A in 5 rankings.", None)


def test_ranked_tie_is_no_decision() -> None:
    one, other = ballots("AA", ranking=("A", "B")), ballots("--BB", ranking=("B", "A"))[2:]
    found = decide((*one, *other), settings=settings(seats=4, rule="ranked"))
    assert (found.winner, found.reason) == (None, "A and B are beaten by none; a tie is no decision.")


def test_confidence_weighted_rule_stays_locked_until_every_model_is_calibrated() -> None:
    few = Calibration(SETTLED_BALLOTS - 1, (0.5,), (0.5,))
    found = decided("AAB", "confidence-weighted", calibrations={"llama3.2:1b": few})
    assert (found.winner, found.reason) == (
        None,
        "Locked: 50 settled ballots are needed of each model; short: llama3.2:1b.",
    )
    models = frozenset({"llama3.2:1b"})
    fits = {"llama3.2:1b": CALIBRATED}
    assert is_locked("confidence-weighted", models=models, settings=settings())
    assert not is_locked("plurality", models=models, settings=settings())
    assert not is_locked("confidence-weighted", models=models, settings=settings(calibrations=fits))
    assert is_locked("confidence-weighted", models=models | {"qwen2.5:3b"}, settings=settings(calibrations=fits))


def test_confidence_weighted_rule_lets_few_sure_seats_outweigh_many_unsure_ones() -> None:
    votes = (*ballots("AAA", confidence=30.0), *ballots("---BB", confidence=95.0)[3:])
    given = settings(rule="confidence-weighted", calibrations={"llama3.2:1b": CALIBRATED})
    found = decide(votes, settings=given)
    assert found.winner == "B"
    assert found.reason == "B has 68% of the calibrated confidence; more than half is needed."


def test_confidence_weighted_tie_is_no_decision() -> None:
    fits = {"llama3.2:1b": CALIBRATED}
    assert decided("AABB", "confidence-weighted", calibrations=fits).winner is None
    assert decided("AABBCC", "confidence-weighted", calibrations=fits).reason == (
        "No option has more than half of the calibrated confidence."
    )


@pytest.mark.parametrize("name", RULES)
def test_rule_is_named_and_explained(name: str) -> None:
    assert RULES[name].title
    assert RULES[name].words.endswith(".")
