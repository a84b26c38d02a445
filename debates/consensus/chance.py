"""What chance would do: how often a lead comes about by lot, how many votes a panel is worth, how often it is right."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, exp, factorial, lgamma
from typing import Literal

SETTLED_DEBATES = 30  # before a correlation is measured rather than assumed
ASSUMED = {"model": 0.45, "family": 0.30, "mixed": 0.15}
# Names under which a family is known too; the rest are known by the letters their name begins with.
FAMILIES = ("llama", "qwen", "gemma", "phi", "granite", "deepseek", "smollm", "falcon", "olmo")
MISTRALS = ("mistral", "mixtral", "ministral", "magistral", "devstral", "codestral", "mathstral", "pixtral")

Kinship = Literal["model", "family", "mixed"]


@lru_cache(maxsize=4096)
def chance_of_lead(ballots: int, *, options: int, lead: int) -> float:
    """π₀: how often the largest of K options drawn by lot gets at least `lead` of n ballots. Exact.

    1 − n!/Kⁿ · [xⁿ] (Σ_{j<lead} xʲ/j!)ᴷ, in fractions.
    """
    terms = [Fraction(1, factorial(held)) for held in range(min(lead, ballots + 1))]
    product = [Fraction(1)]
    for _ in range(options):
        product = _times(product, terms, degree=ballots)
    below = product[ballots] if len(product) > ballots else Fraction(0)
    return float(1 - below * factorial(ballots) / Fraction(options) ** ballots)


def _times(left: list[Fraction], right: list[Fraction], *, degree: int) -> list[Fraction]:
    product = [Fraction(0)] * min(len(left) + len(right) - 1, degree + 1) if right else []
    for i, one in enumerate(left):
        for j, other in enumerate(right[: degree + 1 - i]):
            product[i + j] += one * other
    return product


def beta_binomial_tail(trials: int, *, alpha: float, beta: float, at_least: int) -> float:
    """P(F ≥ at_least) of F ~ BetaBinomial(trials, α, β)."""
    return sum(_beta_binomial(trials, count, alpha, beta) for count in range(max(at_least, 0), trials + 1))


def _beta_binomial(trials: int, count: int, alpha: float, beta: float) -> float:
    return comb(trials, count) * exp(_log_beta(count + alpha, trials - count + beta) - _log_beta(alpha, beta))


def _log_beta(alpha: float, beta: float) -> float:
    return lgamma(alpha) + lgamma(beta) - lgamma(alpha + beta)


def majority_accuracy(seats: int, *, accuracy: float, correlation: float = 0.0) -> float:
    """How often more than half of n seats are right, each being right with `accuracy` (Condorcet).

    Correlated votes share a hidden ease of the question, drawn from a Beta with that accuracy as mean and the
    correlation as intra-class correlation ρ: α = p(1 − ρ)/ρ, β = (1 − p)(1 − ρ)/ρ. At ρ = 1 they are one vote.
    """
    needed = seats // 2 + 1
    if correlation <= 0:
        right = range(needed, seats + 1)
        return sum(comb(seats, count) * accuracy**count * (1 - accuracy) ** (seats - count) for count in right)
    if correlation >= 1 or accuracy in (0, 1):
        return accuracy
    spread = (1 - correlation) / correlation
    return beta_binomial_tail(seats, alpha=accuracy * spread, beta=(1 - accuracy) * spread, at_least=needed)


def effective_votes(ballots: int, *, correlation: float) -> float:
    """n_eff = n/(1 + (n − 1)ρ): as many independent votes would tell as much (Kish's design effect)."""
    return ballots / (1 + (ballots - 1) * correlation) if ballots else 0.0


@dataclass(frozen=True, slots=True)
class Correlation:
    """ρ between the votes of a panel, and whether it was measured or is assumed."""

    value: float
    is_measured: bool
    kinship: Kinship

    @property
    def words(self) -> str:
        if self.is_measured:
            return f"correlation {self.value:.2f}, measured on settled debates"
        panel = {"model": "one model", "family": "models of one family", "mixed": "models of several families"}
        return f"correlation {self.value:.2f}, assumed for {panel[self.kinship]}"


def correlation_of(models: Iterable[str], *, measured: float | None = None) -> Correlation:
    """Of the votes of these models (one name per ballot); seats of an unknown model are taken for one model."""
    related = kinship(models)
    return Correlation(ASSUMED[related] if measured is None else measured, measured is not None, related)


def kinship(models: Iterable[str]) -> Kinship:
    names = set(models)
    if len(names) <= 1:
        return "model"
    return "family" if len({model_family(name) for name in names}) == 1 else "mixed"


def model_family(name: str) -> str:
    """ "llama3.2:1b" → "llama", "hf.co/some/Qwen2.5-7B-GGUF:Q4_K_M" → "qwen", "mixtral:8x7b" → "mistral"."""
    base = name.lower().split(":")[0].rsplit("/", 1)[-1]
    if any(relative in base for relative in MISTRALS):
        return "mistral"
    known = next((family for family in FAMILIES if family in base), None)
    letters = re.match(r"[a-z]+", base)
    return known or (letters[0] if letters else base)


@dataclass(frozen=True, slots=True)
class SettledDebate:
    """How many of the blind ballots of a debate, whose right answer is known, were right."""

    ballots: int
    right: int


def measured_correlation(debates: Iterable[SettledDebate]) -> float | None:
    """ρ, from blind ballots of settled debates of like panels; None below 30 of them, or when all or none were right.

    Fleiss and Cuzick's estimator of the intra-class correlation of yes/no data (*Applied Psychological Measurement* 3,
    1979), within 0–1. Debates with fewer than two ballots tell nothing about it.
    """
    told = [debate for debate in debates if debate.ballots > 1]
    if len(told) < SETTLED_DEBATES:
        return None
    ballots = sum(debate.ballots for debate in told)
    accuracy = sum(debate.right for debate in told) / ballots
    spread = (ballots - len(told)) * accuracy * (1 - accuracy)
    if not spread:
        return None
    within = sum(debate.right * (debate.ballots - debate.right) / debate.ballots for debate in told)
    return min(max(1 - within / spread, 0.0), 1.0)
