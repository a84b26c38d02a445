"""Many simulated debates, counted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from debates.consensus import SettledDebate, effective_votes, measured_correlation
from debates.simulation.course import RULES, Played, play, share_right
from debates.simulation.panels import BadPanel, Panel
from debates.statistics import brier

MOST_DEBATES = 1_000_000
MOST_ROUNDS = 5


@dataclass(slots=True)
class Share:
    """So many of so many."""

    hits: int = 0
    trials: int = 0

    def add(self, is_hit: bool) -> None:
        self.hits += is_hit
        self.trials += 1

    @property
    def value(self) -> float | None:
        return self.hits / self.trials if self.trials else None


@dataclass(slots=True)
class Curve:
    """Means per round over all debates; one that has ended stays where it ended."""

    agreement: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    under_way: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Forecast:
    """What a panel reaches. `leader` figures: the option with most heads, a tie is not right; `rule` figures: what the
    rule decides. `changed`: (was the blind leader right, is the last)."""

    panel: Panel
    debates: int
    single: Share = field(default_factory=Share)
    blind_leader: Share = field(default_factory=Share)
    blind_rule: Share = field(default_factory=Share)
    blind_decided: Share = field(default_factory=Share)
    leader: Share = field(default_factory=Share)
    rule: Share = field(default_factory=Share)
    decided: Share = field(default_factory=Share)
    labels: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    changed: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    flips: Counter[str] = field(default_factory=Counter)
    curve: Curve = field(default_factory=Curve)
    blind: list[SettledDebate] = field(default_factory=list)
    verdicts: list[tuple[float, bool]] = field(default_factory=list)
    ballots: int = 0

    @property
    def hollow(self) -> Share:
        """Of the debates that decided."""
        return Share(self.labels["hollow"], self.decided.hits)

    @property
    def correlation(self) -> float | None:
        """As it would be measured from these debates."""
        return measured_correlation(self.blind)

    @property
    def n_eff(self) -> float:
        return effective_votes(len(self.panel.agents), correlation=self.panel.correlation)

    @property
    def brier(self) -> float | None:
        return brier(self.verdicts)


def expect(  # noqa: PLR0913  (what a forecast is of)
    panel: Panel,
    *,
    rounds: int = 3,
    rule: str = "three-quarters",
    debates: int = 2000,
    seed: int = 1,
    is_challenged: bool = True,
) -> Forecast:
    """Raises BadPanel where the figures cannot be."""
    check(rounds=rounds, rule=rule, debates=debates)
    forecast = Forecast(panel, debates)
    played: list[tuple[list[float], list[float]]] = []
    for number in range(debates):
        debate = play(panel, question=f"{seed}:{number}", rounds=rounds, rule=rule, is_challenged=is_challenged)
        _count(forecast, debate)
        played.append(_courses(debate))
    forecast.curve = _curve(played)
    return forecast


def check(*, rounds: int, rule: str, debates: int) -> None:
    if not 1 <= rounds <= MOST_ROUNDS:
        raise BadPanel(f"rounds: from 1 to {MOST_ROUNDS}, the blind one included, not {rounds}")
    if not 1 <= debates <= MOST_DEBATES:
        raise BadPanel(f"debates: from 1 to {MOST_DEBATES:,}, not {debates:,}")
    if rule not in RULES:
        raise BadPanel(f"rule: one of {', '.join(RULES)}, not {rule}")


def _count(forecast: Forecast, debate: Played) -> None:
    right, blind, end = debate.right, debate.evaluations[0], debate.end
    first = debate.rounds[0]
    for vote in first.valid:
        forecast.single.add(vote.option == right)
    forecast.blind.append(SettledDebate(len(first.valid), sum(vote.option == right for vote in first.valid)))
    forecast.blind_leader.add(blind.leader == right)
    forecast.blind_decided.add(blind.decision.winner is not None)
    forecast.blind_rule.add(blind.decision.winner == right)
    forecast.leader.add(end.leader == right)
    forecast.decided.add(end.decision.winner is not None)
    forecast.rule.add(end.decision.winner == right)
    forecast.labels[end.label.name or "no decision"] += 1
    forecast.stops[end.stop_reason or ""] += 1
    forecast.changed[blind.leader == right, end.leader == right] += 1
    forecast.flips.update(_flips(debate))
    forecast.ballots += sum(len(held.valid) for held in debate.rounds)
    if end.leader and end.verdict_confidence:
        forecast.verdicts.append((end.verdict_confidence[end.leader], end.leader == right))


def _flips(debate: Played) -> Iterator[str]:
    for flip in debate.end.flips:
        if flip.target == debate.right:
            yield "to right"
        elif flip.source == debate.right:
            yield "from right"
        else:
            yield "between wrong"


def _courses(debate: Played) -> tuple[list[float], list[float]]:
    """Agreement and share right after each round; a round that nobody voted in tells as much as the one before."""
    agreement: list[float] = []
    right: list[float] = []
    for held, evaluation in zip(debate.rounds, debate.evaluations, strict=True):
        agreement.append(_or_last(evaluation.ac, agreement))
        right.append(_or_last(share_right(held, debate.right), right))
    return agreement, right


def _or_last(value: float | None, before: list[float]) -> float:
    return value if value is not None else before[-1] if before else 0.0


def _curve(played: list[tuple[list[float], list[float]]]) -> Curve:
    longest = max(len(agreement) for agreement, _ in played)
    rounds = range(longest)
    return Curve(
        agreement=[_mean([each[min(at, len(each) - 1)] for each, _ in played]) for at in rounds],
        right=[_mean([each[min(at, len(each) - 1)] for _, each in played]) for at in rounds],
        under_way=[sum(len(each) > at for each, _ in played) for at in rounds],
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
