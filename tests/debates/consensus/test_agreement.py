import pytest

from debates.consensus import agreement, movement, ordinal_agreement, ranking_agreement
from tests.debates.consensus.panels import held, settings


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((9, 0), 1.0), ((8, 1), 0.5556), ((7, 2), 0.2222), ((6, 3), 0.0), ((5, 4), -0.1111)],
)
def test_nine_ballots_on_two_options_agree_beyond_chance_as_worked_out(
    counts: tuple[int, int], expected: float
) -> None:
    assert agreement(dict(zip("AB", counts, strict=True))) == pytest.approx(expected, abs=5e-5)


def test_fewer_than_two_ballots_neither_agree_nor_disagree() -> None:
    assert agreement({"A": 1, "B": 0}) is None
    assert agreement({"A": 0, "B": 0}) is None


def test_more_options_make_the_same_split_more_telling() -> None:
    assert agreement({"A": 3, "B": 3}) == pytest.approx(-0.2)
    assert agreement({"A": 3, "B": 3, "C": 0, "D": 0}) == pytest.approx(0.2)


def test_the_worked_example_of_van_der_eijk() -> None:
    assert ordinal_agreement((30, 40, 210, 130, 530, 50, 10)) == pytest.approx(0.6113333, abs=5e-8)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0, 0, 9, 0, 0), 1.0),
        ((2, 2, 2, 2, 2), 0.0),
        ((5, 0, 0, 0, 5), -1.0),
        ((0, 4, 4, 0, 0), 0.75),
    ],
)
def test_stances_on_one_point_agree_spread_ones_do_not_and_two_ends_oppose(
    counts: tuple[int, ...], expected: float
) -> None:
    assert ordinal_agreement(counts) == pytest.approx(expected)


def test_an_ordinal_scale_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="three positions"):
        ordinal_agreement((3, 4))


def test_movement_counts_a_changed_option_as_one_seat() -> None:
    assert movement(held(0, "AABBB"), held(1, "AAABB"), settings=settings()) == pytest.approx(0.2)


def test_movement_knows_a_change_of_confidence_without_a_change_of_option() -> None:
    surer = held(1, "AAAAA", votes={0: {"confidence": 98.0}, 1: {"confidence": 98.0}})
    assert movement(held(0, "AAAAA"), surer, settings=settings()) == pytest.approx(2 * 0.09 / 5)


def test_movement_counts_coming_and_going_abstentions_and_absent_seats() -> None:
    assert movement(held(0, "AAAA-"), held(1, "AAA-A"), settings=settings()) == pytest.approx(0.4)
    assert movement(held(0, "AAAA"), held(1, "AAAAA"), settings=settings()) == pytest.approx(0.2)
    assert movement(held(0, "----"), held(1, "----"), settings=settings()) == 0


def test_movement_of_a_seat_that_never_says_how_sure_it_is_is_its_option_alone() -> None:
    silent = {at: {"confidence": None} for at in range(5)}
    before, after = held(0, "AAABB", votes=silent), held(1, "AAABB", votes=silent)
    assert movement(before, after, settings=settings()) == 0


def test_movement_without_a_single_seat_is_none_at_all() -> None:
    assert movement(held(0, ""), held(1, ""), settings=settings()) == 0


def test_rankings_in_the_same_order_agree_fully_and_one_swap_costs_two_of_three_pairs() -> None:
    assert ranking_agreement(["ABC", "ABC"]) == 1
    assert ranking_agreement(["ABC", "BAC"]) == pytest.approx(1 / 3)


def test_rankings_are_compared_over_what_both_rank() -> None:
    assert ranking_agreement(["ABC", "CB"]) == -1
    assert ranking_agreement(["AB", "CD"]) is None
    assert ranking_agreement(["AB"]) is None
