"""Five gates between a lead and a consensus, and the states NONE → LEANING → CONSENSUS that they move."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from debates.consensus.ballots import RoundVotes, Settings, counts_of, leader_of, quorum
from debates.consensus.beliefs import Belief, belief_share, beliefs_of, mean_confidence
from debates.consensus.rules import RULES, heads_needed

State = Literal["none", "leaning", "consensus"]

BELIEF_SHARE = 0.75
MEAN_CONFIDENCE = 0.55
SLACK = Fraction(15, 100)  # a consensus is left only below θ − this
EVALUATIONS = 2  # in a row with all gates passed
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Gate:
    id: str
    title: str
    is_passed: bool
    words: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand after a round. `since`: the round in which the present leader emerged; None without a leader.

    `held`: evaluations in a row, with this one, in which all gates were passed for this leader; `needed` make a
    consensus.
    """

    state: State
    leader: str | None
    since: int | None
    held: int
    needed: int
    gates: tuple[Gate, ...]
    is_challenge_due: bool

    @property
    def is_one_short(self) -> bool:
        """The gates are passed, and one more evaluation like this makes it a consensus."""
        return self.state != "consensus" and 0 < self.held == self.needed - 1

    def passes(self, name: str) -> bool:
        return any(gate.is_passed for gate in self.gates if gate.id == name)


def standings_of(rounds: Sequence[RoundVotes], *, settings: Settings) -> list[Standing]:
    """After each round, every one judged on what came before it."""
    found: list[Standing] = []
    for index in range(len(rounds)):
        found.append(_stand(rounds[: index + 1], settings=settings, before=found[-1] if found else None))
    return found


def _stand(rounds: Sequence[RoundVotes], *, settings: Settings, before: Standing | None) -> Standing:
    leader = leader_of(counts_of(rounds[-1].valid, options=settings.options))
    stays = before is not None and leader is not None and before.leader == leader
    since = before.since if before and before.since is not None and stays else rounds[-1].number
    gates = gates_of(rounds, settings=settings, leader=leader, since=since)
    held = (before.held if before and stays else 0) + 1 if all(gate.is_passed for gate in gates) else 0
    needed = 1 if since == 0 and is_unanimous(rounds[0], settings=settings) else EVALUATIONS
    was_consensus = before is not None and stays and before.state == "consensus"
    return Standing(
        state=_state(gates, is_held=held >= needed, stays=was_consensus and _is_kept(rounds[-1], gates, settings)),
        leader=leader,
        since=None if leader is None else since,
        held=held,
        needed=needed,
        gates=gates,
        is_challenge_due=_is_challenge_due(rounds, settings=settings, gates=gates, since=since),
    )


def _state(gates: Sequence[Gate], *, is_held: bool, stays: bool) -> State:
    if is_held or stays:
        return "consensus"
    return "leaning" if all(gate.is_passed for gate in gates if gate.id in ("G1", "G2")) else "none"


def _is_kept(held: RoundVotes, gates: Sequence[Gate], settings: Settings) -> bool:
    """A consensus lasts down to θ − .15, and never without more than half, a quorum, or over a refuted claim."""
    counts = counts_of(held.valid, options=settings.options)
    most, ballots = max(counts.values()), len(held.valid)
    floor = RULES[settings.rule].consensus_share - SLACK
    has_blocker = any(gate.id in ("G1", "G5") and not gate.is_passed for gate in gates)
    return not has_blocker and most >= heads_needed(floor, ballots)


def is_unanimous(held: RoundVotes, *, settings: Settings) -> bool:
    return len(held.valid) >= quorum(settings.seats) and len({vote.option for vote in held.valid}) == 1


def _is_challenge_due(rounds: Sequence[RoundVotes], *, settings: Settings, gates: Sequence[Gate], since: int) -> bool:
    """A leader stands: it has the heads, and kept them through an exchange, or had all of them from the beginning."""
    stands = all(gate.is_passed for gate in gates if gate.id in ("G1", "G2"))
    was_discussed = any(held.is_exchange for held in rounds[since + 1 :])
    is_proven = was_discussed or (since == 0 and is_unanimous(rounds[0], settings=settings))
    return stands and is_proven and sum(held.is_challenge for held in rounds) < settings.challenges


def gates_of(rounds: Sequence[RoundVotes], *, settings: Settings, leader: str | None, since: int) -> tuple[Gate, ...]:
    held = rounds[-1]
    return (
        _quorum(len(held.valid), settings=settings),
        _heads(held, settings=settings, leader=leader),
        _confidence(beliefs_of(held.valid, settings=settings), leader=leader),
        _tested(rounds[since + 1 :], leader=leader),
        _unrefuted(held),
    )


def _quorum(ballots: int, *, settings: Settings) -> Gate:
    least = quorum(settings.seats)
    words = f"{ballots} of {settings.seats} seats voted; {least} must."
    return Gate("G1", "Enough ballots", ballots >= least, words)


def _heads(held: RoundVotes, *, settings: Settings, leader: str | None) -> Gate:
    ballots, title = len(held.valid), "Enough heads"
    needed = RULES[settings.rule].needed(ballots)
    if leader is None:
        return Gate("G2", title, False, f"No option leads; {needed} of {ballots} needed.")
    heads = sum(vote.option == leader for vote in held.valid)
    return Gate("G2", title, heads >= needed, f"{heads} of {ballots} hold {leader}; {needed} needed.")


def _confidence(beliefs: Sequence[Belief], *, leader: str | None) -> Gate:
    title = "Held with confidence"
    if leader is None:
        return Gate("G3", title, False, "No option leads.")
    share, mean = belief_share(beliefs, option=leader), mean_confidence(beliefs, option=leader)
    if share is None or mean is None:
        return Gate("G3", title, False, "No supporter said how sure it is.")
    passed = share >= BELIEF_SHARE - ROUNDING and mean >= MEAN_CONFIDENCE - ROUNDING
    words = (
        f"Supporters hold {share:.0%} of the confidence ({BELIEF_SHARE:.0%} needed) "
        f"and are {mean:.0%} sure on average ({MEAN_CONFIDENCE:.0%} needed)."
    )
    return Gate("G3", title, passed, words)


def _tested(later: Sequence[RoundVotes], *, leader: str | None) -> Gate:
    title = "Tested"
    if leader is None:
        return Gate("G4", title, False, "No option leads.")
    was_discussed = any(held.is_exchange for held in later)
    was_challenged = any(held.is_challenge for held in later)
    match was_discussed, was_challenged:
        case True, True:
            words = "Discussed since it leads, and its challenge was answered."
        case True, False:
            words = "Discussed since it leads; a challenge is still to be answered."
        case False, True:
            words = "Its challenge was answered; an exchange is still to be held."
        case _:
            words = "Neither discussed since it leads nor challenged."
    return Gate("G4", title, was_discussed and was_challenged, words)


def _unrefuted(held: RoundVotes) -> Gate:
    title, count = "Nothing refuted stands", len(held.refuted_unanswered)
    if not count:
        return Gate("G5", title, True, "No refuted claim that much rests on is unanswered.")
    claims = "claim that much rests on is" if count == 1 else "claims that much rests on are"
    return Gate("G5", title, False, f"{count} refuted {claims} unanswered.")
