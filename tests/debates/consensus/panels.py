"""Short ways of writing panels down: one letter per seat is its option, "-" an abstention."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from debates.consensus import RoundVotes, Settings, Vote

MIXED = ("llama3.2:1b", "qwen2.5:3b", "gemma2:2b")  # three families: the least correlated panel there is
UNKNOWN: Mapping[int, Any] = {}


def settings(options: str = "AB", *, seats: int = 5, **others: Any) -> Settings:
    return Settings(options=tuple(options), seats=seats, **others)


def ballots(options: str, **others: Any) -> tuple[Vote, ...]:
    """Seats s0, s1, …; 80 % sure unless told otherwise."""
    given = {"confidence": 80.0, "model": "llama3.2:1b", **others}
    return tuple(
        Vote(seat=f"s{at}", option=None if letter == "-" else letter, **given) for at, letter in enumerate(options)
    )


def held(number: int, options: str, *, votes: Mapping[int, Any] = UNKNOWN, **others: Any) -> RoundVotes:
    """`votes`: what is different about the ballot of the seat with that number."""
    cast = [replace(vote, **votes.get(at, {})) for at, vote in enumerate(ballots(options))]
    return RoundVotes(number=number, votes=tuple(cast), **others)


def course(*rounds: str, challenge: int | None = None) -> list[RoundVotes]:
    """Rounds one after the other; `challenge`: the number of the one in which the leader was challenged."""
    return [held(number, options, is_challenge=number == challenge) for number, options in enumerate(rounds)]


def mixed(rounds: list[RoundVotes]) -> list[RoundVotes]:
    """The same with the seats on models of three families in turn."""
    return [
        replace(given, votes=tuple(replace(vote, model=MIXED[at % len(MIXED)]) for at, vote in enumerate(given.votes)))
        for given in rounds
    ]
