"""How sure the seats are: confidence, its calibration, and what they believe about every option.

Uncalibrated confidence is shrunk half-way to chance: stated confidence of language models is too high nearly always
(Xiong et al., "Can LLMs Express Their Uncertainty?", ICLR 2024).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log

from debates.consensus.ballots import Settings, Vote
from debates.consensus.calibration import LEAST, Calibration, clip

SHRINKAGE = 0.5
VERDICT_CAP = 0.95  # while any confidence in it is uncalibrated


@dataclass(frozen=True, slots=True)
class Belief:
    """A seat's belief: c, c′ on the option it chose, and q over all options, which sums to 1."""

    seat: str
    option: str
    confidence: float
    adjusted: float
    is_calibrated: bool
    over: Mapping[str, float]


def beliefs_of(votes: Iterable[Vote], *, settings: Settings) -> tuple[Belief, ...]:
    """Of valid ballots that carry what `settings.belief` asks for; the others are left out, never given a default."""
    found = (belief_of(vote, settings=settings) for vote in votes)
    return tuple(belief for belief in found if belief is not None)


def belief_of(vote: Vote, *, settings: Settings) -> Belief | None:
    if vote.option is None:
        return None
    raw = _stated(vote, options=settings.options) if settings.belief == "stated" else _given(vote, settings=settings)
    if raw is None:
        return None
    confidence = clip(raw[vote.option])
    fit = settings.calibrations.get(vote.model)
    is_calibrated = fit is not None and fit.is_enough
    adjusted = adjust(confidence, options=len(raw), fit=fit)
    over = _rescaled(raw, chosen=vote.option, to=adjusted)
    return Belief(vote.seat, vote.option, confidence, adjusted, is_calibrated, over)


def adjust(confidence: float, *, options: int, fit: Calibration | None = None) -> float:
    """c′: calibrated where enough ballots of the model are settled, else shrunk towards 1/K."""
    if fit is not None and fit.is_enough:
        return fit(confidence)
    return 1 / options + SHRINKAGE * (confidence - 1 / options)


def _stated(vote: Vote, *, options: tuple[str, ...]) -> dict[str, float] | None:
    """What is not put on the chosen option is spread evenly over the others."""
    if vote.confidence is None:
        return None
    chosen = clip(vote.confidence / 100)
    return {option: chosen if option == vote.option else (1 - chosen) / (len(options) - 1) for option in options}


def _given(vote: Vote, *, settings: Settings) -> dict[str, float] | None:
    """A measured or probed distribution; an option that was not among the alternatives gets the least there is."""
    if not vote.belief:
        return None
    floored = {option: max(vote.belief.get(option, 0.0), LEAST) for option in settings.options}
    total = sum(floored.values())
    return {option: share / total for option, share in floored.items()}


def _rescaled(raw: Mapping[str, float], *, chosen: str, to: float) -> dict[str, float]:
    """The same distribution with `to` on the chosen option, the others keeping their proportions."""
    others = {option: share for option, share in raw.items() if option != chosen}
    total = sum(others.values())
    if not total:  # too little for a float, where very many seats were pooled
        others, total = dict.fromkeys(others, 1.0), float(len(others))
    return {option: to if option == chosen else (1 - to) * others[option] / total for option in raw}


def support(beliefs: Iterable[Belief], *, options: Iterable[str]) -> dict[str, float] | None:
    """S(k): the mean belief in each option, all seats weighing the same; None when nobody said how sure it is."""
    known = tuple(beliefs)
    if not known:
        return None
    return {option: sum(belief.over[option] for belief in known) / len(known) for option in options}


def belief_share(beliefs: Iterable[Belief], *, option: str) -> float | None:
    """Σc′ of the supporters over Σc′ of all; None when nobody said how sure it is."""
    known = tuple(beliefs)
    total = sum(belief.adjusted for belief in known)
    return sum(belief.adjusted for belief in known if belief.option == option) / total if known else None


def mean_confidence(beliefs: Iterable[Belief], *, option: str) -> float | None:
    """Of the supporters: c′ where it is calibrated, else c as they gave it (c′ is shrunk on purpose)."""
    given = [
        belief.adjusted if belief.is_calibrated else belief.confidence for belief in beliefs if belief.option == option
    ]
    return sum(given) / len(given) if given else None


def verdict_confidence(
    beliefs: Iterable[Belief], *, options: Iterable[str], effective_share: float
) -> dict[str, float] | None:
    """V(k) ∝ Π q_i(k)^(n_eff/n): belief pooled as if there were only n_eff votes. `effective_share` is n_eff/n.

    A logarithmic opinion pool (Genest, Zidek, *Statistical Science* 1986). Capped at .95 while any part is
    uncalibrated; what the cap takes goes to the others in proportion, so that it still sums to 1.
    """
    known = tuple(beliefs)
    if not known:
        return None
    weights = {option: effective_share * sum(log(belief.over[option]) for belief in known) for option in options}
    highest = max(weights.values())
    odds = {option: exp(weight - highest) for option, weight in weights.items()}
    total = sum(odds.values())
    pooled = {option: share / total for option, share in odds.items()}
    return pooled if all(belief.is_calibrated for belief in known) else _capped(pooled)


def _capped(pooled: Mapping[str, float]) -> dict[str, float]:
    top = max(pooled, key=pooled.__getitem__)
    if pooled[top] <= VERDICT_CAP:
        return dict(pooled)
    return _rescaled(pooled, chosen=top, to=VERDICT_CAP)
