"""Orders that differ from seat to seat, so that no place in a list gains by it, and stay the same when asked again."""

from collections.abc import Iterable
from random import Random
from string import ascii_uppercase
from typing import TypeVar

from debates.consensus import cyclic_orders
from debates.models import Ballot, Debate, Seat

Item = TypeVar("Item")


def shuffled(items: Iterable[Item], *seed: object) -> list[Item]:
    found = list(items)
    return Random(":".join(map(str, seed))).sample(found, len(found))  # noqa: S311  (an order, not a secret)


def shuffle_letters(debate: Debate, seat: Seat) -> dict[str, str | None]:
    """Letter → option id, or None to abstain, in an order that the seat keeps throughout the debate."""
    choices = [*(option["id"] for option in debate.options), None]
    return dict(zip(ascii_uppercase, shuffled(choices, debate.pk, seat.pk), strict=False))


def options_as_lettered(debate: Debate, seat: Seat) -> list[str]:
    """Option ids in the order in which the seat's ballots have them."""
    return [option for option in shuffle_letters(debate, seat).values() if option is not None]


def probe_letters(ballot: Ballot) -> list[dict[str, str]]:
    """The letters of its probes: each option once at each letter, and none to abstain."""
    options = options_as_lettered(ballot.round.debate, ballot.seat)
    return [dict(zip(ascii_uppercase, order, strict=False)) for order in cyclic_orders(options)]
