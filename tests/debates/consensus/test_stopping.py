from typing import Any

import pytest

from debates.consensus import RoundVotes, Stop, standings_of, stop_of
from debates.consensus.stopping import (
    chance_of_change,
    flips_and_stays,
    is_drifting,
    is_stable_disagreement,
    oscillating_seat,
)
from tests.debates.consensus.panels import course, held, settings


def stop(rounds: list[RoundVotes], **others: Any) -> Stop | None:
    given = settings(**{"max_rounds": 9, "seats": len(rounds[0].votes), **others})
    return stop_of(rounds, settings=given, standing=standings_of(rounds, settings=given)[-1])


def reason(rounds: list[RoundVotes], **others: Any) -> str | None:
    found = stop(rounds, **others)
    return found.reason if found else None


def test_debate_that_is_getting_somewhere_goes_on() -> None:
    assert stop(course("AABBC"), options="ABC") is None


def test_consensus_ends_it() -> None:
    assert stop(course("AAAAA", "AAAAA", challenge=1)) == Stop("consensus", "All gates are passed: a consensus.")


@pytest.mark.parametrize(
    ("blind", "chance", "reason_found"),
    [("AAAAAAABB", 0.0187, "lead_cannot_change"), ("AAAAB", 0.0585, "stable_disagreement")],
)
def test_lead_after_two_rounds_without_a_flip_as_worked_out(blind: str, chance: float, reason_found: str) -> None:
    rounds = course(blind, blind, blind)
    assert chance_of_change(rounds, settings=settings(seats=len(blind))) == pytest.approx(chance, abs=5e-5)
    assert reason(rounds, challenges=0) == reason_found


def test_lead_is_tested_with_two_flips_in_eighteen_as_worked_out() -> None:
    rounds = course("AAAAAAABB", "AAAAAABBB", "AAAAAAABB")
    assert flips_and_stays(rounds) == (2, 16)
    assert chance_of_change(rounds, settings=settings(seats=9)) == pytest.approx(0.131, abs=5e-4)
    assert reason(rounds, challenges=0) is None


def test_lead_is_not_tested_before_anybody_could_have_moved_nor_without_one() -> None:
    assert chance_of_change(course("AAAAA"), settings=settings()) is None
    assert chance_of_change(course("AABB", "AABB"), settings=settings(seats=4)) is None
    assert chance_of_change(course("AAAB", "ABAA"), settings=settings(seats=4)) is not None


def test_lead_that_cannot_change_says_how_unlikely_it_would() -> None:
    found = stop(course(*["AAAAAAABB"] * 3), challenges=0)
    assert found == Stop(
        "lead_cannot_change", "The lead cannot change: as these seats move, it would in 1.9% of further rounds."
    )


def test_settled_lead_waits_for_the_challenge_it_is_due() -> None:
    assert stop(course(*["AAAAAAABB"] * 3)) is None
    assert reason([*course("AAAAAAABB", "AAAAAAABB"), held(2, "AAAAAABBB", is_challenge=True)]) is None


def test_settled_lead_waits_for_the_second_evaluation_that_makes_it_a_consensus() -> None:
    rounds = course(*["AAAAAAABB"] * 3, challenge=2)
    assert stop(rounds) is None
    assert reason([*rounds, held(3, "AAAAAAABB")]) == "consensus"


def test_ballots_are_compared_with_the_next_valid_one_of_their_seat() -> None:
    assert flips_and_stays(course("AAB-", "A-BA", "AABB")) == (1, 5)


def test_standing_still_without_new_claims_is_stable_disagreement() -> None:
    assert stop(course("AAABB", "AAABB", "AAABB")) == Stop(
        "stable_disagreement", "Nobody has moved for two rounds and no new claim has come: they disagree."
    )


@pytest.mark.parametrize(
    "rounds",
    [
        course("AAABB", "AAABB"),
        course("AAABB", "AABBB", "AABBB"),
        [*course("AAABB", "AAABB"), held(2, "AAABB", new_claims=frozenset({"c1"}))],
        [*course("AAABB", "AAABB"), held(2, "AAABB", evidence=frozenset({"c1"}))],
        [*course("AAABB", "AAABB"), held(2, "AAABB", votes={at: {"confidence": 30.0} for at in range(5)})],
    ],
    ids=["once", "somebody moved", "a new claim", "new evidence", "all less sure"],
)
def test_what_still_moves_is_no_stable_disagreement(rounds: list[RoundVotes]) -> None:
    assert stop(rounds) is None


def test_standing_still_in_agreement_is_no_disagreement() -> None:
    assert is_stable_disagreement(course(*["AAAB"] * 3), settings=settings(seats=4))
    assert not is_stable_disagreement(course(*["AAAA"] * 3), settings=settings(seats=4))


def test_seat_that_goes_to_and_fro_twice_ends_it() -> None:
    rounds = course("AABB", "BABB", "AABB", "BABB", "AABB")
    assert stop(rounds) == Stop("oscillation", "s0 has gone to and fro between options twice.")


@pytest.mark.parametrize(
    ("walk", "oscillates"),
    [
        ("ABA", False),
        ("ABAB", False),
        ("ABABA", True),
        ("AABBAABBA", True),
        ("ABACA", True),
        ("ABCABC", False),
        ("ABA-BAB", True),
        ("ABCBA", False),
        ("---", False),
    ],
)
def test_oscillation_is_two_excursions_and_returns(walk: str, oscillates: bool) -> None:
    found = oscillating_seat([held(number, option) for number, option in enumerate(walk)])
    assert found == ("s0" if oscillates else None)


def drift(*, cited: str = "") -> list[RoundVotes]:
    """Of four that agreed, one moves away in each of two rounds."""
    claims = frozenset({"c1"})
    return [
        held(0, "AAAAA", new_claims=claims),
        held(1, "AAABC", votes={3: {"cited": frozenset({cited})}}),
        held(2, "AABCD"),
    ]


def test_moving_apart_for_two_rounds_without_a_reason_is_drift() -> None:
    assert stop(drift(), options="ABCD") == Stop(
        "drift", "For two rounds seats moved apart without citing anything new to them."
    )


def test_moving_apart_for_a_reason_is_debate() -> None:
    assert stop(drift(cited="c1"), options="ABCD") is None


def test_reason_from_before_the_two_rounds_does_not_excuse_them() -> None:
    before = [held(0, "AAAB", new_claims=frozenset({"c1"})), held(1, "AAAA", votes={3: {"cited": frozenset({"c1"})}})]
    rounds = [*before, held(2, "AAAB"), held(3, "AACB")]
    assert is_drifting(rounds, settings=settings("ABC", seats=4))


@pytest.mark.parametrize(
    "rounds",
    [
        ["AAAAA", "AAABC"],
        ["AABBC", "AAABC", "AAAAC"],
        ["AAAAAAA", "AAAAAAB", "AAAAABC"],
        ["AAAAA", "AAABC", "A----"],
    ],
    ids=["one round", "moving together", "little moved", "hardly anybody left"],
)
def test_what_is_no_drift(rounds: list[str]) -> None:
    assert not is_drifting(course(*rounds), settings=settings("ABCD", seats=len(rounds[0])))


def test_rounds_and_budget_run_out() -> None:
    assert stop(course("AABBC", "AABBC"), options="ABC", max_rounds=1) == Stop(
        "rounds", "The rounds agreed on are over."
    )
    assert stop(course("AABBC"), options="ABC", is_out_of_budget=True) == Stop("budget", "The budget is used up.")
    assert reason(course("AABBC"), options="ABC", max_rounds=0, is_out_of_budget=True) == "rounds"


def test_user_ends_it_before_anything_else() -> None:
    assert stop(course("AAAAA", "AAAAA", challenge=1), is_stopped=True) == Stop("user", "Stopped by its user.")


def test_lost_quorum_ends_it_also_when_everybody_abstains() -> None:
    assert stop(course("AAA--")) == Stop("quorum_lost", "Quorum lost: 3 of 5 seats voted; 4 must.")
    assert reason(course("-----")) == "quorum_lost"
    assert reason(course("AA")) == "quorum_lost"


def test_judge_needs_no_quorum() -> None:
    assert reason(course("AB"), rule="judge") is None
    assert reason(course(""), rule="judge", seats=0) is None


def test_consensus_in_the_last_round_is_called_one() -> None:
    rounds = course("AAAAA", "AAAAA", challenge=1)
    assert reason(rounds, max_rounds=1, is_out_of_budget=True) == "consensus"
