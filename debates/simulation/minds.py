"""What an agent thinks at first, and what it makes of the others' answers. Pure: all chance comes from `random`.

The correlated first answers are those of consensus.majority_accuracy: the ease of a question is drawn from a Beta with
the agent's accuracy as mean and the panel's correlation as intra-class correlation. Matching one's belief to the
panel's is the update under which debate moves no accuracy in the mean (Choi et al., "Debate or Vote", NeurIPS 2025):
the share of right answers is a martingale, while agreement grows.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from debates.consensus import ChangeReason
from debates.simulation.panels import SimulatedAgent

SHARPNESS = 8.0  # how closely private confidence follows the ease of the question: α + β of its Beta


@dataclass(frozen=True, slots=True)
class Thought:
    """`sure`: how probable it is that the option is right, as the agent itself would know if it were calibrated."""

    option: str
    sure: float

    def stated(self, agent: SimulatedAgent) -> int:
        """Per cent: what it says, with its doubt made smaller by its overconfidence."""
        return round(100 * (1 - min(1.0, (1 - self.sure) / agent.overconfidence)))


@dataclass(frozen=True, slots=True)
class Rethought:
    """`follows`: whose thought it took, as a place in what it heard; None where it kept its own."""

    thought: Thought
    reason: ChangeReason = "none"
    follows: int | None = None


def ease(agent: SimulatedAgent, *, correlation: float, question: str) -> float:
    """How probable it is that such an agent gets this question right. Agents alike find it equally easy; others find
    it easy or hard along with them, since they draw from the same source."""
    source = Random(f"ease of {question}")  # noqa: S311  (a simulation)
    return _beta(agent.accuracy, correlation=correlation, random=source)


def _beta(mean: float, *, correlation: float, random: Random) -> float:
    if correlation <= 0 or mean in (0, 1):
        return mean
    if correlation >= 1:
        return float(random.random() < mean)
    spread = (1 - correlation) / correlation
    return random.betavariate(mean * spread, (1 - mean) * spread)


def think(*, ease: float, options: Sequence[str], right: str, random: Random) -> Thought:
    """Right as often as `ease` says, and as often as it is sure: P(right | sure) = sure."""
    sure = random.betavariate(ease * SHARPNESS, (1 - ease) * SHARPNESS) if 0 < ease < 1 else ease
    if random.random() < sure:
        return Thought(right, sure)
    return Thought(random.choice([option for option in options if option != right]), sure)


def rethink(agent: SimulatedAgent, own: Thought, *, heard: Sequence[Thought], right: str, random: Random) -> Rethought:
    """After it heard the others' last thoughts."""
    if not heard or random.random() < agent.stubbornness:
        return Rethought(own)
    if random.random() < agent.insight and (seen := _recognise(own, heard, right=right)):
        return seen
    if random.random() < agent.conformity:
        return _conform(own, heard)
    place = random.randrange(len(heard) + 1)
    if place == len(heard) or heard[place].option == own.option:
        return Rethought(own)
    return Rethought(heard[place], "persuaded_by_argument", place)


def _recognise(own: Thought, heard: Sequence[Thought], *, right: str) -> Rethought | None:
    """The right answer, where anybody holds it, itself included."""
    if own.option == right:
        return Rethought(own)
    place = next((place for place, thought in enumerate(heard) if thought.option == right), None)
    return None if place is None else Rethought(heard[place], "found_error_in_mine", place)


def _conform(own: Thought, heard: Sequence[Thought]) -> Rethought:
    """To the option that most others hold; where two share that place it stays."""
    ahead = Counter(thought.option for thought in heard).most_common(2)
    leader, is_tied = ahead[0][0], len(ahead) > 1 and ahead[0][1] == ahead[1][1]
    if is_tied or leader == own.option:
        return Rethought(own)
    place = next(place for place, thought in enumerate(heard) if thought.option == leader)
    return Rethought(heard[place], "majority_pressure", place)
