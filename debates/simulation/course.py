"""One simulated debate: thoughts become ballots, and the engine's own mathematics decides how it goes on.

Everything that decides here is debates.consensus; the course is that of a round table in debates.rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from string import ascii_uppercase
from typing import Any

from debates.consensus import Evaluation, RoundVotes, Settings, Vote, evaluate
from debates.simulation.minds import Rethought, Thought, ease, rethink, think
from debates.simulation.panels import Panel

NEW_CLAIM = 0.3  # how often who keeps its answer says something new for it; who moves always does
CHALLENGE = "challenge"  # the claim of the Devil's Advocate
UNCHALLENGED = ("user", "quorum_lost", "budget")  # as in debates.rounds
RULES = ("plurality", "majority", "two-thirds", "three-quarters", "unanimity")


@dataclass(frozen=True, slots=True)
class Played:
    """A debate that has ended. `right`: the right option."""

    right: str
    rounds: tuple[RoundVotes, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def end(self) -> Evaluation:
        return self.evaluations[-1]


def share_right(held: RoundVotes, right: str) -> float | None:
    valid = held.valid
    return sum(vote.option == right for vote in valid) / len(valid) if valid else None


@dataclass
class Table:
    """The seats of one debate and what they think; `claims` of seat: its newest."""

    panel: Panel
    question: str
    random: Random
    right: str = ""
    thoughts: list[Thought] = field(default_factory=list)
    claims: dict[int, str] = field(default_factory=dict)
    numbers: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        return tuple(ascii_uppercase[: self.panel.options])

    def blind(self) -> RoundVotes:
        self.right = self.random.choice(self.options)
        agents = self.panel.agents
        eases = {a: ease(a, correlation=self.panel.correlation, question=self.question) for a in set(agents)}
        self.thoughts = [
            think(ease=eases[agent], options=self.options, right=self.right, random=self.random) for agent in agents
        ]
        return self._vote([Rethought(thought) for thought in self.thoughts], number=0, is_exchange=False)

    def exchange(self, before: RoundVotes, *, is_challenge: bool) -> RoundVotes:
        """All at the same time: everybody hears the ballots of the round before, of those who cast one."""
        cast = [vote.option is not None for vote in before.votes]
        heard = [[at for at, is_cast in enumerate(cast) if is_cast and at != seat] for seat in range(len(cast))]
        rethought = [self._rethink(seat, places) for seat, places in enumerate(heard)]
        return self._vote(rethought, number=before.number + 1, is_challenge=is_challenge)

    def _rethink(self, seat: int, places: list[int]) -> Rethought:
        others = [self.thoughts[place] for place in places]
        agent = self.panel.agents[seat]
        found = rethink(agent, self.thoughts[seat], heard=others, right=self.right, random=self.random)
        follows = None if found.follows is None else places[found.follows]
        return Rethought(found.thought, found.reason, follows)

    def _vote(self, rethought: list[Rethought], *, number: int, **kind: Any) -> RoundVotes:
        claimed = dict(self.claims)
        self.thoughts = [each.thought for each in rethought]
        votes = tuple(self._ballot(seat, each, number=number, claimed=claimed) for seat, each in enumerate(rethought))
        evidence = frozenset({CHALLENGE} if kind.get("is_challenge") else ())
        made = frozenset().union(*(vote.claims for vote in votes))
        return RoundVotes(number=number, votes=votes, new_claims=made | evidence, evidence=evidence, **kind)

    def _ballot(self, seat: int, each: Rethought, *, number: int, claimed: Mapping[int, str]) -> Vote:
        agent, name = self.panel.agents[seat], f"Seat {seat + 1}"
        if self.random.random() < agent.failure_rate:
            return Vote(seat=name, option=None, model="simulated", abstained="run failed")
        is_moved = each.follows is not None
        claims = self._claim(seat, is_new=number == 0 or is_moved or self.random.random() < NEW_CLAIM)
        return Vote(
            seat=name,
            option=each.thought.option,
            confidence=each.thought.stated(agent),
            claims=claims,
            cited=_cited(each, claimed),
            change_reason=each.reason,
            model="simulated",
        )

    def _claim(self, seat: int, *, is_new: bool) -> frozenset[str]:
        if not is_new:
            return frozenset()
        self.numbers += 1
        self.claims[seat] = str(self.numbers)
        return frozenset({self.claims[seat]})


def _cited(each: Rethought, claimed: Mapping[int, str]) -> frozenset[str]:
    """Who is persuaded leans on the newest claim of the seat it follows; who conforms gives no reason."""
    if each.follows is None or each.reason == "majority_pressure":
        return frozenset()
    return frozenset({claimed[each.follows]} if each.follows in claimed else ())


def play(
    panel: Panel, *, question: str, rounds: int = 3, rule: str = "three-quarters", is_challenged: bool = True
) -> Played:
    """The same question (any words) gives the same debate. `rounds` with the blind one; a challenge comes on top."""
    table = Table(panel, question, Random(question))  # noqa: S311  (a simulation)
    held, evaluations = [table.blind()], list[Evaluation]()
    while True:
        settings = _settings(table, held, rounds=rounds, rule=rule, is_challenged=is_challenged)
        evaluations.append(evaluate(held, settings))
        end = evaluations[-1]
        is_challenge = end.is_challenge_due and end.stop_reason not in UNCHALLENGED
        if end.stop_reason and not is_challenge:
            return Played(table.right, tuple(held), tuple(evaluations))
        held.append(table.exchange(held[-1], is_challenge=is_challenge))


def _settings(table: Table, held: list[RoundVotes], *, rounds: int, rule: str, is_challenged: bool) -> Settings:
    return Settings(
        options=table.options,
        seats=len(table.panel.agents),
        rule=rule,
        max_rounds=rounds - 1 + sum(round.is_challenge for round in held),
        challenges=int(is_challenged),
        correlation=table.panel.correlation,
    )
