"""How a debate is held: who sees whom, in which rounds. Each is one entry; a new one is one more and a test."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from agents.models import Agent
from debates.models import Debate, Round

Kind = Round.Kind
Role = Agent.Role

LEAST_VOTERS = 3
MOST_ROUNDS = 5  # round 0 included; challenges come on top

# The steps of a round, in their order. A step that has nothing to do is passed over.
STEPS_OF: Mapping[str, tuple[str, ...]] = {
    Kind.BLIND: ("speech", "options", "ballot", "probe", "scored"),
    Kind.EXCHANGE: ("speech", "ballot", "probe", "scored"),
    Kind.CHALLENGE: ("challenge", "speech", "ballot", "probe", "scored"),
    Kind.DELPHI: ("statistics", "speech", "ballot", "probe", "scored"),
    Kind.RANKING: ("ranking", "ballot", "probe", "scored"),
    Kind.OPENING: ("speech", "scored"),
    Kind.REBUTTAL: ("speech", "scored"),
    Kind.CLOSING: ("speech", "judge", "scored"),
}


def steps_of(round: Round) -> tuple[str, ...]:
    """Probes are taken only where the debate asks for them."""
    is_probed = round.debate.belief == Debate.Belief.PROBE
    return tuple(step for step in STEPS_OF[round.kind] if step != "probe" or is_probed)


class Sees(Enum):
    """What a seat learns of the others before it speaks in a round after round 0."""

    NOBODY = "nobody"
    ALL = "all"
    NEIGHBOURS = "neighbours"
    ANSWERS = "answers"
    STATISTICS = "statistics"
    OPPONENTS = "opponents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """`rounds`: how many by default, round 0 included, of at least `least` and at most `most`. `first` is the kind of
    round 0, `then` of those after it; a `script` names them all instead, and the course is fixed. `needs`: roles
    without a vote that must sit; `likes`: those that a suggested panel has besides."""

    slug: str
    name: str
    words: str
    sees: Sees
    rounds: int = 3
    least: int = 2
    most: int = MOST_ROUNDS
    first: Kind = Kind.BLIND
    then: Kind = Kind.EXCHANGE
    script: tuple[Kind, ...] = ()
    challenges: int = 1
    is_challenged_at_once: bool = False  # after round 0 already, whatever it gave
    needs: tuple[str, ...] = ()
    likes: tuple[str, ...] = (Role.MODERATOR,)
    rule: str = ""  # the only rule it goes with; empty: any
    options: int | None = None  # how many there must be

    @property
    def is_scripted(self) -> bool:
        return bool(self.script)


CHALLENGERS = (Role.DEVILS_ADVOCATE, Role.FACT_CHECKER)
OXFORD_LEG = (Kind.OPENING, Kind.REBUTTAL, Kind.REBUTTAL, Kind.CLOSING)

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.slug: protocol
    for protocol in (
        Protocol(
            slug="round-table",
            name="Round table",
            words="All answer blind, then see everybody's claims and answer again. A leader is challenged once.",
            sees=Sees.ALL,
            likes=(*CHALLENGERS, Role.MODERATOR),
        ),
        Protocol(
            slug="blind-vote",
            name="Blind vote",
            words="All answer once and nobody sees anybody. A strong baseline, and the cheapest.",
            sees=Sees.NOBODY,
            rounds=1,
            least=1,
            most=1,
            challenges=0,
        ),
        Protocol(
            slug="sparse-table",
            name="Sparse table",
            words="As the round table, but each seat sees its two neighbours only: slower to agree, harder to herd.",
            sees=Sees.NEIGHBOURS,
            likes=(*CHALLENGERS, Role.MODERATOR),
        ),
        Protocol(
            slug="solutions-only",
            name="Solutions only",
            words="Each seat learns what the others answer, not why.",
            sees=Sees.ANSWERS,
            challenges=0,
        ),
        Protocol(
            slug="delphi",
            name="Delphi",
            words="Between the rounds the Moderator reports, without names, how many hold what and for which reasons.",
            sees=Sees.STATISTICS,
            then=Kind.DELPHI,
            challenges=0,
            needs=(Role.MODERATOR,),
            likes=(),
        ),
        Protocol(
            slug="council",
            name="Council",
            words="All answer, each ranks the others' answers without names, the Moderator in the chair writes it up.",
            sees=Sees.ALL,
            rounds=2,
            least=2,
            most=2,
            then=Kind.RANKING,
            script=(Kind.BLIND, Kind.RANKING),
            challenges=0,
            needs=(Role.MODERATOR,),
            likes=(),
        ),
        Protocol(
            slug="oxford",
            name="Oxford",
            words=(
                "Two assigned sides, opening, two rebuttals and closing, then the same with the sides swapped. The "
                "Moderator judges both; only a judgement that survives the swap counts."
            ),
            sees=Sees.OPPONENTS,
            rounds=8,
            least=8,
            most=8,
            first=Kind.OPENING,
            script=OXFORD_LEG + OXFORD_LEG,
            challenges=0,
            needs=(Role.MODERATOR,),
            likes=(),
            rule="judge",
            options=2,
        ),
        Protocol(
            slug="stress-test",
            name="Stress test",
            words="All answer blind, then the Devil's Advocate argues against the leader and all answer once more.",
            sees=Sees.ALL,
            rounds=1,
            least=1,
            most=1,
            is_challenged_at_once=True,
            needs=(Role.DEVILS_ADVOCATE,),
            likes=(Role.FACT_CHECKER, Role.MODERATOR),
        ),
    )
}
