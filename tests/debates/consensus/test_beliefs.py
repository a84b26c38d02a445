from typing import Any

import pytest

from debates.consensus import (
    SETTLED_BALLOTS,
    Belief,
    Calibration,
    Settings,
    Vote,
    adjust,
    belief_of,
    beliefs_of,
    effective_votes,
    support,
    verdict_confidence,
)
from debates.consensus.beliefs import VERDICT_CAP, belief_share, mean_confidence
from tests.debates.consensus.panels import ballots, settings

HALF_RIGHT = Calibration(SETTLED_BALLOTS, (0.5, 0.9), (0.5, 0.5))


def believed(vote: Vote, **others: Any) -> Belief:
    found = belief_of(vote, settings=settings(**others))
    assert found is not None
    return found


def vote(option: str | None = "A", **others: Any) -> Vote:
    return Vote(seat="s0", option=option, **others)


def sure(option: str, *, at: float, seat: str) -> Belief:
    other = "B" if option == "A" else "A"
    return Belief(seat, option, at, at, False, {option: at, other: 1 - at})


def pooled(options: str, *, at: float, votes: float, calibrated: bool = False) -> dict[str, float]:
    beliefs = [sure(option, at=at, seat=str(place)) for place, option in enumerate(options)]
    if calibrated:
        beliefs = [Belief(each.seat, each.option, at, at, True, each.over) for each in beliefs]
    found = verdict_confidence(beliefs, options="AB", effective_share=votes / len(options))
    assert found is not None
    return found


def test_uncalibrated_confidence_is_shrunk_half_way_to_chance() -> None:
    assert adjust(0.8, options=2) == pytest.approx(0.65)
    assert adjust(0.8, options=4) == pytest.approx(0.525)


def test_stated_confidence_is_spread_evenly_over_the_other_options() -> None:
    belief = believed(vote(confidence=80.0), options="ABC")
    assert belief.over == pytest.approx({"A": 1 / 3 + 0.5 * (0.8 - 1 / 3), "B": 0.216667, "C": 0.216667}, abs=1e-6)
    assert not belief.is_calibrated


@pytest.mark.parametrize(("stated", "clipped"), [(0.0, 0.02), (100.0, 0.98), (150.0, 0.98), (-3.0, 0.02)])
def test_stated_confidence_is_clipped_at_both_ends(stated: float, clipped: float) -> None:
    assert believed(vote(confidence=stated)).confidence == clipped


def test_zero_is_a_confidence_and_none_is_not() -> None:
    assert believed(vote(confidence=0.0)).adjusted == pytest.approx(0.26)
    assert belief_of(vote(confidence=None), settings=settings()) is None
    assert belief_of(vote(None, confidence=90.0), settings=settings()) is None


def test_seat_without_confidence_is_left_out_of_support_rather_than_given_one() -> None:
    votes = (*ballots("AA"), Vote(seat="s2", option="B"))
    known = beliefs_of(votes, settings=settings())
    assert [belief.seat for belief in known] == ["s0", "s1"]
    assert support(known, options="AB") == pytest.approx({"A": 0.65, "B": 0.35})


def test_calibrated_confidence_replaces_the_shrunk_one() -> None:
    belief = believed(vote(confidence=90.0, model="m"), calibrations={"m": HALF_RIGHT})
    assert (belief.confidence, belief.adjusted, belief.is_calibrated) == (0.9, 0.5, True)


def test_calibration_on_too_few_ballots_is_not_used() -> None:
    few = Calibration(SETTLED_BALLOTS - 1, (0.5,), (0.5,))
    belief = believed(vote(confidence=90.0, model="m"), calibrations={"m": few})
    assert belief.adjusted == pytest.approx(0.7)
    assert not belief.is_calibrated


@pytest.mark.parametrize("source", ["measured", "probe"])
def test_measured_belief_keeps_its_proportions_and_is_shrunk_like_a_stated_one(source: Any) -> None:
    given = vote(confidence=99.0, belief={"A": 0.6, "B": 0.3, "C": 0.1})
    belief = believed(given, options="ABC", belief=source)
    assert belief.confidence == pytest.approx(0.6)
    assert belief.over == pytest.approx({"A": 0.466667, "B": 0.4, "C": 0.133333}, abs=1e-6)


def test_option_that_was_not_measured_gets_the_least_there_is_so_that_no_seat_can_veto() -> None:
    belief = believed(vote(belief={"A": 1.0}), options="ABC", belief="measured")
    assert belief.confidence == pytest.approx(1 / 1.04)
    assert belief.over["B"] == belief.over["C"] > 0
    assert sum(belief.over.values()) == pytest.approx(1)


@pytest.mark.parametrize("missing", [None, {}])
def test_seat_whose_host_measured_nothing_is_left_out_even_if_it_stated_something(missing: Any) -> None:
    given = vote(confidence=99.0, belief=missing)
    assert belief_of(given, settings=settings(belief="measured")) is None


def test_no_confidence_at_all_gives_no_support_no_share_no_mean_and_no_verdict_confidence() -> None:
    assert support([], options="AB") is None
    assert belief_share([], option="A") is None
    assert mean_confidence([], option="A") is None
    assert verdict_confidence([], options="AB", effective_share=1) is None


def test_supporters_share_of_the_confidence_counts_what_each_puts_on_its_own_option() -> None:
    beliefs = [sure("A", at=0.9, seat="0"), sure("A", at=0.6, seat="1"), sure("B", at=0.5, seat="2")]
    assert belief_share(beliefs, option="A") == pytest.approx(0.75)


def test_mean_confidence_is_of_c_while_uncalibrated_and_of_c_prime_afterwards() -> None:
    calibrated: Settings = settings(calibrations={"llama3.2:1b": HALF_RIGHT})
    assert mean_confidence(beliefs_of(ballots("AAB"), settings=settings()), option="A") == pytest.approx(0.8)
    assert mean_confidence(beliefs_of(ballots("AAB"), settings=calibrated), option="A") == pytest.approx(0.5)


@pytest.mark.parametrize(("options", "expected"), [("AAAAAAAAA", 0.9), ("AAAAAABBB", 0.675)])
def test_verdict_confidence_of_nine_seats_worth_two_votes_as_worked_out(options: str, expected: float) -> None:
    found = pooled(options, at=0.75, votes=2)
    assert found["A"] == pytest.approx(expected, abs=5e-4)
    assert sum(found.values()) == pytest.approx(1)


def test_effective_votes_of_that_panel_are_two_at_the_correlation_of_the_table() -> None:
    assert effective_votes(9, correlation=0.4375) == pytest.approx(2)


def test_verdict_confidence_is_capped_until_all_of_it_is_calibrated() -> None:
    assert pooled("AAAAAAAAA", at=0.9, votes=9) == pytest.approx({"A": VERDICT_CAP, "B": 1 - VERDICT_CAP})
    assert pooled("AAAAAAAAA", at=0.9, votes=9, calibrated=True)["A"] > 0.999


def test_verdict_confidence_of_very_many_sure_seats_does_not_run_out_of_numbers() -> None:
    assert pooled("A" * 2000, at=0.98, votes=2000, calibrated=True) == {"A": 1.0, "B": 0.0}
    assert pooled("A" * 2000, at=0.98, votes=2000) == pytest.approx({"A": VERDICT_CAP, "B": 1 - VERDICT_CAP})
