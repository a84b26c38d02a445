import pytest
from hypothesis import given
from hypothesis import strategies as st

from debates.statistics import (
    Bin,
    brier,
    brier_of_beliefs,
    calibration_error,
    mcnemar_exact,
    reliability,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (15, 148, 0.0624, 0.1605),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_of_published_examples(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(hits, trials) == pytest.approx((low, high), abs=5e-5)


def test_nothing_tried_may_be_anything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500), st.data())
def test_interval_holds_its_share_and_mirrors(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    low, high = wilson_interval(hits, trials)
    assert 0 <= low <= hits / trials + 1e-12
    assert hits / trials - 1e-12 <= high <= 1
    assert wilson_interval(trials - hits, trials) == pytest.approx((1 - high, 1 - low))


def test_more_certainty_wants_a_wider_interval() -> None:
    assert wilson_interval(5, 10, deviations=2.576)[0] < wilson_interval(5, 10)[0]


@pytest.mark.parametrize(
    ("one", "other", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (0, 6, 0.03125), (1, 9, 22 / 1024), (3, 4, 1.0)]
)
def test_mcnemar_is_the_two_sided_binomial_of_the_discordant(one: int, other: int, p: float) -> None:
    assert mcnemar_exact(one, other) == mcnemar_exact(other, one) == pytest.approx(p)


def test_brier_score_of_certain_undecided_and_wrong_forecasts() -> None:
    assert brier([(1.0, True), (0.0, False)]) == 0
    assert brier([(0.5, True), (0.5, False)]) == 0.25
    assert brier([(1.0, False)]) == 1
    assert brier([(0.9, True), (0.9, False)]) == pytest.approx(0.41)
    assert brier([]) is None


def test_brier_score_over_all_options() -> None:
    assert brier_of_beliefs([({"A": 1.0, "B": 0.0}, "A")]) == 0
    assert brier_of_beliefs([({"A": 1.0, "B": 0.0}, "B")]) == 2
    assert brier_of_beliefs([({"A": 0.5, "B": 0.3, "C": 0.2}, "A")]) == pytest.approx(0.38)
    assert brier_of_beliefs([({"A": 0.5, "B": 0.5}, "C")]) == pytest.approx(1.5)
    assert brier_of_beliefs([]) is None


def test_reliability_has_a_bin_for_each_confidence_met() -> None:
    found = reliability([(0.95, True), (1.0, True), (0.92, False), (0.1, False), (0.0, True)])
    assert [(each.count, each.share) for each in found] == [(1, 1.0), (1, 0.0), (3, pytest.approx(2 / 3))]
    assert found[0] == Bin(1, 0.0, 1.0)
    assert found[2].confidence == pytest.approx(2.87 / 3)


def test_calibration_error_weighs_the_bins() -> None:
    assert calibration_error([(0.9, True)] * 9 + [(0.9, False)]) == pytest.approx(0)
    assert calibration_error([(0.9, False)] * 3 + [(0.1, False)]) == pytest.approx((3 * 0.9 + 0.1) / 4)
    assert calibration_error([]) is None
