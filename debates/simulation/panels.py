"""What simulated agents are like."""

from dataclasses import dataclass, fields

FEWEST_AGENTS, MOST_AGENTS = 3, 15
FEWEST_OPTIONS, MOST_OPTIONS = 2, 6
SHARES = ("accuracy", "stubbornness", "conformity", "insight", "failure_rate")  # probabilities
STRONGEST = 100.0  # overconfidence, either way


class BadPanel(ValueError):
    """No such panel can be; its words say which figure is wrong and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAgent:
    """`accuracy`: how often its first thought is right. `overconfidence`: what it divides its stated doubt by; 1 is
    calibrated, below 1 too modest. In every round after the first it keeps its answer with `stubbornness`; else, with
    `insight`, it recognises the right answer where it or another holds it; else, with `conformity`, it joins the
    others' leader and gives no reason; else it matches its belief to the panel's: it takes the answer of a seat drawn
    by lot, its own included. `failure_rate`: of its ballots. `latency`: seconds to the first token, of the client
    alone.
    """

    accuracy: float = 0.7
    overconfidence: float = 1.0
    stubbornness: float = 0.0
    conformity: float = 0.0
    insight: float = 0.0
    failure_rate: float = 0.0
    latency: float = 0.0

    def __post_init__(self) -> None:
        for name in SHARES:
            _check(name, getattr(self, name), 0, 1)
        _check("overconfidence", self.overconfidence, 1 / STRONGEST, STRONGEST)
        _check("latency", self.latency, 0, 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`correlation` (intra-class, 0–1) is that of the agents' first answers: what they share is how easy the question
    is to such agents. Wrong ones spread evenly over the other options."""

    agents: tuple[SimulatedAgent, ...]
    correlation: float = 0.0
    options: int = 2

    def __post_init__(self) -> None:
        _check("agents", len(self.agents), FEWEST_AGENTS, MOST_AGENTS)
        _check("options", self.options, FEWEST_OPTIONS, MOST_OPTIONS)
        _check("correlation", self.correlation, 0, 1)

    @classmethod
    def of(cls, count: int, *, correlation: float = 0.0, options: int = 2, **agent: float) -> "Panel":
        """`count` agents that are all alike. Raises BadPanel."""
        _check("agents", count, FEWEST_AGENTS, MOST_AGENTS)
        return cls(agents=(SimulatedAgent(**agent),) * count, correlation=correlation, options=options)

    @property
    def accuracy(self) -> float:
        return sum(agent.accuracy for agent in self.agents) / len(self.agents)

    @property
    def words(self) -> str:
        """Its own figures, and those that its agents have in common."""
        common = {
            field.name.replace("_", " "): getattr(self.agents[0], field.name)
            for field in fields(SimulatedAgent)
            if len({getattr(agent, field.name) for agent in self.agents}) == 1
        }
        own = f"{len(self.agents)} agents, {self.options} options, correlation {self.correlation:g}"
        return ", ".join([own, *(f"{name} {value:g}" for name, value in common.items())])


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # also of nan, which is not within anything
        raise BadPanel(f"{name.replace('_', ' ')}: from {least:g} to {most:g}, not {value:g}")
