"""What came of each question, and what it adds up to. Numbers only: nothing here knows the database."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from debates.evaluation.items import Item
from debates.statistics import brier, calibration_error

Arm = Literal["single", "blind", "vote", "debate"]
ARMS: tuple[Arm, ...] = ("single", "blind", "vote", "debate")


@dataclass(frozen=True, slots=True)
class Said:
    """One ballot: the words of its option (None: it abstained, `why`), and how sure of it by each source, 0–1."""

    option: str | None
    stated: float | None = None
    measured: float | None = None
    probed: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls answer or vote; probes only measure and are counted apart. Seconds by the clock."""

    calls: float = 0
    tokens: float = 0
    seconds: float = 0
    probes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.seconds + other.seconds,
            self.probes + other.probes,
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """A seat changed its option; the words of both."""

    source: str
    target: str
    is_evidenced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One question, asked of every arm.

    `samples` are the vote's, `chosen` says which of them is the single answer; `rounds` are the debate's ballots.
    `decided` is what its rule chose; `confidence` that of the verdict in the leader.
    """

    item: Item
    samples: tuple[Said, ...]
    chosen: int
    rounds: tuple[tuple[Said, ...], ...]
    decided: str | None
    confidence: float | None
    stop_reason: str
    label: str | None
    moves: tuple[Moved, ...] = ()
    costs: Mapping[Arm, Cost] = field(default_factory=dict)
    failed_runs: int = 0

    def answer(self, arm: Arm) -> str | None:
        match arm:
            case "single":
                return self.samples[self.chosen].option
            case "blind":
                return leader(self.rounds[0]) if self.rounds else None
            case "vote":
                return leader(self.samples)
            case "debate":
                return leader(self.rounds[-1]) if self.rounds else None

    def is_right(self, arm: Arm) -> bool:
        """No answer, and a tie, is not right."""
        return self.answer(arm) == self.item.answer


def leader(ballots: Iterable[Said]) -> str | None:
    """The option with the most ballots; None in a tie, or without any."""
    counts = Counter(said.option for said in ballots if said.option is not None).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def hits(results: Iterable[Result], arm: Arm) -> int:
    return sum(result.is_right(arm) for result in results)


def sample_share(results: Iterable[Result]) -> float:
    """How often a sample is right: the mean over questions of the share of their samples."""
    shares = [sum(said.option == r.item.answer for said in r.samples) / len(r.samples) for r in results]
    return sum(shares) / len(shares)


def by_lot(results: Sequence[Result]) -> float:
    """What drawing an option by lot would get."""
    return sum(1 / len(result.item.options) for result in results) / len(results)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two arms on the same questions."""

    both: int
    only_first: int
    only_second: int
    neither: int


def pair(results: Iterable[Result], first: Arm, second: Arm) -> Pair:
    counts = Counter((result.is_right(first), result.is_right(second)) for result in results)
    return Pair(counts[True, True], counts[True, False], counts[False, True], counts[False, False])


@dataclass(frozen=True, slots=True)
class Flips:
    to_right: int = 0
    from_right: int = 0
    between_wrong: int = 0
    evidenced: int = 0

    @property
    def count(self) -> int:
        return self.to_right + self.from_right + self.between_wrong


def flips(results: Iterable[Result]) -> Flips:
    moves = [(move, result.item.answer) for result in results for move in result.moves]
    return Flips(
        to_right=sum(move.target == answer for move, answer in moves),
        from_right=sum(move.source == answer for move, answer in moves),
        between_wrong=sum(answer not in (move.source, move.target) for move, answer in moves),
        evidenced=sum(move.is_evidenced for move, _ in moves),
    )


@dataclass(frozen=True, slots=True)
class Honesty:
    """How much a confidence is worth: `mean` against `share` that was right; None without any forecast."""

    count: int
    mean: float | None
    share: float | None
    brier: float | None
    error: float | None


Forecast = tuple[float, bool]
SOURCES: Mapping[str, Callable[[Said], float | None]] = {
    "stated": lambda said: said.stated,
    "measured": lambda said: said.measured,
    "probed": lambda said: said.probed,
}


def honesty(forecasts: Iterable[Forecast]) -> Honesty:
    told = list(forecasts)
    if not told:
        return Honesty(0, None, None, None, None)
    mean, share = sum(sure for sure, _ in told) / len(told), sum(is_right for _, is_right in told) / len(told)
    return Honesty(len(told), mean, share, brier(told), calibration_error(told))


def forecasts_of_samples(results: Iterable[Result], source: str) -> list[Forecast]:
    """Of the vote's ballots, which are the same for every source."""
    return [known for result in results for known in _forecasts(result.samples, result.item.answer, source)]


def forecasts_of_debates(results: Iterable[Result], source: str) -> list[Forecast]:
    """Of the last ballots of the debates."""
    last = [(result.rounds[-1], result.item.answer) for result in results if result.rounds]
    return [known for ballots, answer in last for known in _forecasts(ballots, answer, source)]


def forecasts_of_verdicts(results: Iterable[Result]) -> list[Forecast]:
    return [(r.confidence, r.is_right("debate")) for r in results if r.confidence is not None]


def _forecasts(ballots: Iterable[Said], answer: str, source: str) -> list[Forecast]:
    sure = SOURCES[source]
    told = [(sure(said), said.option == answer) for said in ballots if said.option is not None]
    return [(confidence, is_right) for confidence, is_right in told if confidence is not None]


def cost(results: Sequence[Result], arm: Arm) -> Cost:
    """Per question."""
    total = sum((result.costs.get(arm, Cost()) for result in results), Cost())
    count = len(results)
    return Cost(total.calls / count, total.tokens / count, total.seconds / count, total.probes)


def abstentions(results: Iterable[Result]) -> Counter[str]:
    """Why ballots hold no option, of all arms."""
    ballots = [said for result in results for held in (result.samples, *result.rounds) for said in held]
    return Counter(said.why for said in ballots if said.option is None)
