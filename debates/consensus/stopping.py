"""When a debate ends, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from debates.consensus.agreement import agreement, movement
from debates.consensus.ballots import RoundVotes, Settings, counts_of
from debates.consensus.chance import beta_binomial_tail
from debates.consensus.gates import Standing
from debates.consensus.provenance import ballots_of, moves_of, seats_of
from debates.consensus.rules import RULES

StopReason = Literal[
    "consensus",
    "lead_cannot_change",
    "stable_disagreement",
    "oscillation",
    "drift",
    "rounds",
    "budget",
    "user",
    "quorum_lost",
]

CHANCE_OF_CHANGE = 0.05
STILL = 0.05  # TV at most, for a round in which next to nothing moved
DRIFTING = 0.25  # TV at least, for one in which much did
WINDOW = 2  # rounds in a row
FLIP_PRIOR, STAY_PRIOR = 1, 4  # as if one flip and four stays had been seen before


@dataclass(frozen=True, slots=True)
class Stop:
    reason: StopReason
    words: str


def stop_of(rounds: Sequence[RoundVotes], *, settings: Settings, standing: Standing) -> Stop | None:
    """The first reason that holds. Who ends it comes first, then what is reached, what is settled, what runs out.

    Settled ends wait for what could still make a consensus of it: a challenge that is due, or the second of two
    evaluations.
    """
    if settings.is_stopped:
        return Stop("user", "Stopped by its user.")
    if RULES[settings.rule].needs_quorum and not standing.passes("G1"):
        return Stop("quorum_lost", f"Quorum lost: {standing.gates[0].words}")
    if standing.state == "consensus":
        return Stop("consensus", "All gates are passed: a consensus.")
    return _settled(rounds, settings=settings, standing=standing) or _run_out(rounds, settings=settings)


def _settled(rounds: Sequence[RoundVotes], *, settings: Settings, standing: Standing) -> Stop | None:
    if standing.is_challenge_due or standing.is_one_short:
        return None
    chance = chance_of_change(rounds, settings=settings)
    if chance is not None and chance <= CHANCE_OF_CHANGE:
        words = f"The lead cannot change: as these seats move, it would in {chance:.1%} of further rounds."
        return Stop("lead_cannot_change", words)
    if is_stable_disagreement(rounds, settings=settings):
        return Stop("stable_disagreement", "Nobody has moved for two rounds and no new claim has come: they disagree.")
    if seat := oscillating_seat(rounds):
        return Stop("oscillation", f"{seat} has gone to and fro between options twice.")
    if is_drifting(rounds, settings=settings):
        return Stop("drift", "For two rounds seats moved apart without citing anything new to them.")
    return None


def _run_out(rounds: Sequence[RoundVotes], *, settings: Settings) -> Stop | None:
    if rounds[-1].number >= settings.max_rounds:
        return Stop("rounds", "The rounds agreed on are over.")
    if settings.is_out_of_budget:
        return Stop("budget", "The budget is used up.")
    return None


def flips_and_stays(rounds: Sequence[RoundVotes]) -> tuple[int, int]:
    """How often a seat changed its option from one valid ballot to its next, and how often it did not."""
    steps = [
        before.option != after.option
        for seat in seats_of(rounds)
        for (_, before), (_, after) in pairwise(ballots_of(seat, rounds=rounds))
    ]
    return sum(steps), len(steps) - sum(steps)


def chance_of_change(rounds: Sequence[RoundVotes], *, settings: Settings) -> float | None:
    """P(F ≥ ⌈m/2⌉), F ~ BetaBinomial(n, 1 + flips, 4 + stays): so many flips in one round would end a lead of m heads.

    None before anybody could have flipped, and without a lead.
    """
    flips, stays = flips_and_stays(rounds)
    counts = sorted(counts_of(rounds[-1].valid, options=settings.options).values())
    margin = counts[-1] - counts[-2]
    if not margin or not flips + stays:
        return None
    return lead_change(len(rounds[-1].valid), margin=margin, flips=flips, stays=stays)


def lead_change(ballots: int, *, margin: int, flips: int, stays: int) -> float:
    return beta_binomial_tail(ballots, alpha=FLIP_PRIOR + flips, beta=STAY_PRIOR + stays, at_least=-(-margin // 2))


def is_stable_disagreement(rounds: Sequence[RoundVotes], *, settings: Settings) -> bool:
    """TV ≤ .05 between the last three rounds, no new claim in the last, and still more than one option held."""
    if len(rounds) <= WINDOW or rounds[-1].new_claims or rounds[-1].evidence:
        return False
    if len({vote.option for vote in rounds[-1].valid}) <= 1:
        return False
    return all(movement(before, after, settings=settings) <= STILL for before, after in pairwise(rounds[-WINDOW - 1 :]))


def oscillating_seat(rounds: Sequence[RoundVotes]) -> str | None:
    """A seat that went A→B→A twice, one excursion beginning where the other ends at the earliest."""
    return next((seat for seat in seats_of(rounds) if _excursions(seat, rounds) >= WINDOW), None)


def _excursions(seat: str, rounds: Sequence[RoundVotes]) -> int:
    options = [vote.option for _, vote in ballots_of(seat, rounds=rounds)]
    stops = options[:1] + [now for was, now in pairwise(options) if now != was]
    found = at = 0
    while at + 2 < len(stops):
        is_return = stops[at] == stops[at + 2]
        found, at = found + is_return, at + (2 if is_return else 1)
    return found


def is_drifting(rounds: Sequence[RoundVotes], *, settings: Settings) -> bool:
    """In each of the last two rounds much moved (TV ≥ .25), AC fell, and no move cited a claim new to its seat.

    Debates of language models wander off like that in later rounds (Becker et al., "Stay Focused: Problem Drift in
    Multi-Agent Debate", 2025); what can be seen of it in ballots is movement without reasons that brings nobody
    together.
    """
    if len(rounds) <= WINDOW:
        return False
    last = rounds[-WINDOW - 1 :]
    if any(move.is_evidenced for move in moves_of(rounds) if move.round > last[0].number):
        return False
    return all(_drifts(before, after, settings=settings) for before, after in pairwise(last))


def _drifts(before: RoundVotes, after: RoundVotes, *, settings: Settings) -> bool:
    was, now = (agreement(counts_of(held.valid, options=settings.options)) for held in (before, after))
    has_fallen = was is not None and now is not None and now < was
    return has_fallen and movement(before, after, settings=settings) >= DRIFTING
