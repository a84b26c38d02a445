import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debates.consensus import SETTLED_BALLOTS, Calibration, fit_isotonic
from debates.consensus.calibration import LEAST, MOST

settled = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80)


def fitted(*ballots: tuple[float, bool]) -> Calibration:
    found = fit_isotonic(ballots)
    assert found is not None
    return found


def test_neighbours_that_fall_are_pooled_to_their_mean() -> None:
    found = fitted((0.2, False), (0.4, True), (0.6, False), (0.8, True))
    assert found.confidences == (0.2, 0.4, 0.6, 0.8)
    assert found.shares == (0.0, 0.5, 0.5, 1.0)


def test_pooling_goes_back_as_far_as_it_must() -> None:
    found = fitted((0.1, True), (0.2, True), (0.3, False), (0.4, False))
    assert (found.confidences, found.shares) == ((0.1, 0.4), (0.5, 0.5))


def test_ballots_of_one_confidence_are_one_point_whatever_their_order() -> None:
    found = fitted((0.9, True), (0.9, False), (0.9, False), (0.9, True), (0.9, False))
    assert (found.ballots, found.confidences, found.shares) == (5, (0.9,), (0.4,))


def test_between_two_points_it_goes_straight_and_outside_it_stays() -> None:
    found = Calibration(60, (0.5, 0.9), (0.4, 0.6))
    assert found(0.7) == pytest.approx(0.5)
    assert (found(0.1), found(0.5), found(0.9), found(0.98)) == (0.4, 0.4, 0.6, 0.6)


def test_nobody_becomes_quite_certain() -> None:
    found = fitted((0.2, False), (0.8, True))
    assert (found(0.0), found(1.0)) == (LEAST, MOST)


def test_no_settled_ballot_makes_no_calibration() -> None:
    assert fit_isotonic([]) is None


def test_fifty_settled_ballots_are_enough_and_one_fewer_are_not() -> None:
    ballots = [(0.9, at % 2 == 0) for at in range(SETTLED_BALLOTS)]
    assert fitted(*ballots).is_enough
    assert not fitted(*ballots[1:]).is_enough


def test_calibration_survives_being_stored_as_json() -> None:
    found = fitted((0.2, False), (0.4, True), (0.6, False), (0.8, True))
    assert Calibration.from_dict(json.loads(json.dumps(found.as_dict()))) == found


@given(settled)
def test_curve_rises_and_keeps_the_share_that_was_right(ballots: list[tuple[float, bool]]) -> None:
    found = fitted(*ballots)
    assert list(found.shares) == sorted(found.shares)
    assert list(found.confidences) == sorted(set(found.confidences))
    assert found.ballots == len(ballots)


@given(settled, st.floats(0, 1), st.floats(0, 1))
def test_more_confidence_never_makes_less(ballots: list[tuple[float, bool]], one: float, other: float) -> None:
    found = fitted(*ballots)
    low, high = sorted((one, other))
    assert found(low) <= found(high) + 1e-12
