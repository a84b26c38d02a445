from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from debates.consensus import Vote, schulze_winners

# Schulze's first example: 45 voters, five candidates, E wins.
SCHULZE = {
    "ACBED": 5,
    "ADECB": 5,
    "BEDAC": 8,
    "CABED": 3,
    "CAEBD": 7,
    "CBADE": 2,
    "DCEBA": 7,
    "EBADC": 8,
}


def ranked(orders: Iterable[str], *, unranked: str = "") -> list[Vote]:
    return [
        Vote(seat=f"s{at}", option=order[0], ranking=tuple(order), unranked=frozenset(unranked))
        for at, order in enumerate(orders)
    ]


def test_example_of_schulze() -> None:
    orders = [order for order, times in SCHULZE.items() for _ in range(times)]
    assert schulze_winners(ranked(orders), options="ABCDE") == ["E"]


def test_cycle_is_broken_at_its_weakest_link() -> None:
    orders = ["ABC"] * 4 + ["BCA"] * 3 + ["CAB"] * 2
    assert schulze_winners(ranked(orders), options="ABC") == ["A"]


def test_perfect_cycle_is_a_tie_of_all() -> None:
    assert schulze_winners(ranked(["ABC", "BCA", "CAB"]), options="ABC") == ["A", "B", "C"]


def test_option_left_out_comes_last() -> None:
    assert schulze_winners(ranked(["B", "B", "AB"]), options="ABC") == ["B"]


def test_option_a_seat_was_not_asked_about_is_not_taken_for_its_last() -> None:
    asked = ranked(["BC", "BC"], unranked="A")
    told = ranked(["ABC"])
    assert schulze_winners([*asked, *told], options="ABC") == ["A"]
    assert schulze_winners([*ranked(["BC", "BC"]), *told], options="ABC") == ["B"]


@given(st.lists(st.permutations("ABCD"), min_size=1, max_size=9))
def test_order_of_ballots_and_of_options_changes_nothing(orders: list[list[str]]) -> None:
    votes = ranked("".join(order) for order in orders)
    winners = schulze_winners(votes, options="ABCD")
    assert winners
    assert sorted(schulze_winners(votes[::-1], options="DCBA")) == winners
