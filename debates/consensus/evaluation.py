"""Everything that can be said about a debate after a round. The numbers stay apart: nothing is merged into a score."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from debates.consensus.agreement import agreement, movement, ordinal_agreement, ranking_agreement
from debates.consensus.ballots import RoundVotes, Settings, check, counts_of, leader_of
from debates.consensus.beliefs import beliefs_of, support, verdict_confidence
from debates.consensus.chance import chance_of_lead, correlation_of, effective_votes
from debates.consensus.gates import Gate, Standing, State, standings_of
from debates.consensus.labels import NO_RESULT, Label, label
from debates.consensus.provenance import Flip, Holding, flips_of, holdings_of, provenance_of
from debates.consensus.ranking import ranked_votes
from debates.consensus.rules import RULES, Decision, decide
from debates.consensus.stopping import Stop, stop_of

EXPLANATIONS: dict[str, str] = {
    "heads": "How many seats hold each option; abstentions are counted apart.",
    "ac": (
        "Agreement beyond chance: 1 when all agree, 0 when the ballots agree as often as ones drawn by lot, "
        "below 0 when they split more evenly than that."
    ),
    "ordinal": (
        "Agreement on a scale of stances: 1 when all stand on one, 0 when they are spread evenly, "
        "−1 when half stand at either end."
    ),
    "ranking": "How alike the rankings are: 1 all in the same order, 0 unrelated, −1 one the reverse of the other.",
    "support": "How much of the panel's belief each option has, the belief left for options not chosen included.",
    "chance": "How often a lead as large as this one would come up if every seat drew its option by lot.",
    "verdict_confidence": (
        "How probable the panel's beliefs make each option, taken together as no more votes than they are worth; "
        "at most 95 % while the models' confidence has not been checked against settled debates."
    ),
    "label": (
        "Robust: hardly chance, reached by reasons, from enough independent votes; procedural: the rule is met, "
        "not more; hollow: seats came over without citing anything new."
    ),
    "n_eff": "How many independent votes the ballots are worth: related models tend to make the same mistakes.",
    "u": (
        "Of the supporters who moved to the leader, the share that cited no claim new to them "
        "or gave in to the majority."
    ),
    "tv": (
        "How far the panel moved since the last round, seat by seat: 0 nobody moved, 1 every seat changed its option; "
        "two seats that swap sides do not cancel out."
    ),
    "stated": "The confidence a seat wrote into its ballot.",
    "measured": "The probability the seat's model itself gave to its option when it wrote down the choice.",
}


@dataclass(frozen=True, slots=True)
class Abstention:
    seat: str
    reason: str


@dataclass(frozen=True, slots=True)
class Blind:
    """The vote of round 0 by the same rule, and what the debate has made of it."""

    counts: Mapping[str, int]
    leader: str | None
    winner: str | None
    effect: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Provenance of the leader, or of the winner where a rule picks another; shares 0–1."""

    option: str
    independent_share: float
    converged_share: float
    gained: int
    unevidenced: int
    u: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """After the last of the rounds given. None: these ballots do not tell (no leader, no confidence, no round before).

    `sure` seats carried the confidence or belief asked for; `support` and `verdict_confidence` know these alone.
    `held` of `held_needed` evaluations in a row passed all gates. `threshold` says what is there and what is needed.
    """

    round: int
    rule: str
    counts: Mapping[str, int]
    ballots: int
    abstentions: tuple[Abstention, ...]
    leader: str | None
    leader_since: int | None
    decision: Decision
    threshold: str
    ac: float | None
    ordinal: float | None
    ranking: float | None
    sure: int
    is_calibrated: bool
    support: Mapping[str, float] | None
    verdict_confidence: Mapping[str, float] | None
    chance: float | None
    n_eff: float
    correlation: float
    correlation_words: str
    is_correlation_measured: bool
    origin: Origin | None
    tv: float | None
    flips: tuple[Flip, ...]
    holdings: tuple[Holding, ...]
    state: State
    gates: tuple[Gate, ...]
    held: int
    held_needed: int
    is_challenge_due: bool
    label: Label
    blind: Blind
    stop: Stop | None

    @property
    def stop_reason(self) -> str | None:
        return self.stop.reason if self.stop else None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; `flips` say with `is_evidenced` what each is worth."""
        flips = [{**asdict(flip), "is_evidenced": flip.is_evidenced} for flip in self.flips]
        return {**asdict(self), "flips": flips, "stop_reason": self.stop_reason}


def evaluate(rounds: Sequence[RoundVotes], settings: Settings) -> Evaluation:
    """Of all rounds so far, round 0 first. Raises BadBallot when they contradict the settings or each other."""
    check(rounds, options=settings.options)
    now, valid = rounds[-1], rounds[-1].valid
    standing = standings_of(rounds, settings=settings)[-1]
    decision = decide(valid, settings=settings)
    counts = counts_of(valid, options=settings.options)
    beliefs = beliefs_of(valid, settings=settings)
    correlation = correlation_of((vote.model for vote in valid), measured=settings.correlation)
    return Evaluation(
        round=now.number,
        rule=settings.rule,
        counts=counts,
        ballots=len(valid),
        abstentions=tuple(Abstention(vote.seat, vote.abstained) for vote in now.votes if vote.option is None),
        leader=standing.leader,
        leader_since=standing.since,
        decision=decision,
        threshold=_threshold(decision, standing=standing),
        ac=agreement(counts),
        ordinal=ordinal_agreement(list(counts.values())) if settings.is_ordinal and valid else None,
        ranking=ranking_agreement([vote.ranking for vote in ranked_votes(valid)]),
        sure=len(beliefs),
        is_calibrated=bool(beliefs) and all(belief.is_calibrated for belief in beliefs),
        support=support(beliefs, options=settings.options),
        verdict_confidence=verdict_confidence(
            beliefs,
            options=settings.options,
            effective_share=1 / (1 + (max(len(beliefs), 1) - 1) * correlation.value),
        ),
        chance=None if standing.leader is None else _chance(standing.leader, counts=counts),
        n_eff=effective_votes(len(valid), correlation=correlation.value),
        correlation=correlation.value,
        correlation_words=correlation.words,
        is_correlation_measured=correlation.is_measured,
        origin=_origin(decision.winner or standing.leader, rounds=rounds),
        tv=movement(rounds[-2], now, settings=settings) if len(rounds) > 1 else None,
        flips=tuple(flips_of(rounds)),
        holdings=tuple(holdings_of(rounds)),
        state=standing.state,
        gates=standing.gates,
        held=standing.held,
        held_needed=standing.needed,
        is_challenge_due=standing.is_challenge_due,
        label=_label(decision, rounds=rounds, settings=settings),
        blind=_blind(rounds[0], decision=decision, settings=settings),
        stop=stop_of(rounds, settings=settings, standing=standing),
    )


def _chance(option: str, *, counts: Mapping[str, int]) -> float:
    return chance_of_lead(sum(counts.values()), options=len(counts), lead=counts[option])


def _threshold(decision: Decision, *, standing: Standing) -> str:
    """ "6 of 9 hold B; 7 needed, held 1 of 2 rounds."""
    if not standing.held:
        return decision.reason
    return f"{decision.reason[:-1]}, held {min(standing.held, standing.needed)} of {standing.needed} rounds."


def _origin(option: str | None, *, rounds: Sequence[RoundVotes]) -> Origin | None:
    if option is None:
        return None
    source = provenance_of(option, rounds=rounds)
    return Origin(
        option=option,
        independent_share=float(source.independent_share),
        converged_share=float(source.converged_share),
        gained=source.gained,
        unevidenced=source.unevidenced,
        u=float(source.unevidenced_share),
    )


def _label(decision: Decision, *, rounds: Sequence[RoundVotes], settings: Settings) -> Label:
    if decision.winner is None:
        return NO_RESULT
    valid, rule = rounds[-1].valid, RULES[settings.rule]
    counts = counts_of(valid, options=settings.options)
    correlation = correlation_of((vote.model for vote in valid), measured=settings.correlation)
    return label(
        provenance_of(decision.winner, rounds=rounds),
        chance=_chance(decision.winner, counts=counts),
        effective_votes=effective_votes(len(valid), correlation=correlation.value),
        correlation=correlation,
        flag=rule.flag,
    )


def _blind(first: RoundVotes, *, decision: Decision, settings: Settings) -> Blind:
    counts = counts_of(first.valid, options=settings.options)
    before = decide(first.valid, settings=_by_panel(settings))
    return Blind(counts, leader_of(counts), before.winner, _effect(before.winner, decision.winner))


def _by_panel(settings: Settings) -> Settings:
    """A judge has not spoken after round 0: what the panel alone would have chosen is compared with the judgement."""
    return replace(settings, rule="plurality") if settings.rule == "judge" else settings


def _effect(before: str | None, after: str | None) -> str:
    if before is None and after is None:
        return "Neither the blind vote nor the debate decided."
    if before is None:
        return f"The blind vote decided nothing; the debate led to {after}."
    if after is None:
        return f"The blind vote chose {before}; after the debate there is no decision."
    if before == after:
        return f"The debate changed nothing: the blind vote chose {before}, too."
    return f"The blind vote chose {before}; the debate turned it to {after}."
