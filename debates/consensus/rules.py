"""Rules of decision: each a small declaration, fixed before the start. Shares are fractions, so no rounding decides."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from debates.consensus.ballots import Settings, Vote, counts_of, leader_of, quorum
from debates.consensus.beliefs import beliefs_of
from debates.consensus.calibration import SETTLED_BALLOTS
from debates.consensus.ranking import ranked_votes, schulze_winners

DEFAULT_SHARE = Fraction(3, 4)  # the median threshold of Delphi studies (Diamond et al., J Clin Epidemiol 2014)
TIE = "{} have equally many; a tie is no decision."


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rule makes of the ballots: the winner, or None, and why in words.

    `held` of `ballots` stand behind the leader, `needed` would decide; both None where the rule does not count heads.
    """

    winner: str | None
    reason: str
    ballots: int
    held: int | None = None
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """What a rule decides on: the valid ballots and their count."""

    votes: tuple[Vote, ...]
    settings: Settings
    counts: Mapping[str, int] = field(init=False)
    leader: str | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", counts_of(self.votes, options=self.settings.options))
        object.__setattr__(self, "leader", leader_of(self.counts))

    @property
    def held(self) -> int:
        return max(self.counts.values())

    def without_winner(self, reason: str, *, needed: int | None = None) -> Decision:
        return Decision(None, reason, len(self.votes), None if needed is None else self.held, needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`share` of the valid ballots decides (None: the rule has no share). `flag`: what to say beside a result."""

    title: str
    words: str
    decide: Callable[[Poll, "Rule"], Decision]
    share: Fraction | None = None
    needs_quorum: bool = True
    flag: str = ""

    @property
    def consensus_share(self) -> Fraction:
        """θ of the consensus gates; a rule without a share is held to the default one."""
        return DEFAULT_SHARE if self.share is None else self.share

    def needed(self, ballots: int) -> int:
        """Heads needed by θ, never less than more than half."""
        return heads_needed(self.consensus_share, ballots)


def heads_needed(share: Fraction, ballots: int) -> int:
    """max(⌈θn⌉, ⌊n/2⌋ + 1)."""
    return max(-(-share.numerator * ballots // share.denominator), ballots // 2 + 1)


def decide(votes: Iterable[Vote], *, settings: Settings) -> Decision:
    """What `settings.rule` makes of the ballots of one round; abstentions count for the quorum alone."""
    rule = RULES[settings.rule]
    poll = Poll(tuple(vote for vote in votes if vote.option is not None), settings)
    least = quorum(settings.seats)
    if rule.needs_quorum and len(poll.votes) < least:
        return poll.without_winner(f"{len(poll.votes)} of {settings.seats} seats voted; {least} must.")
    return rule.decide(poll, rule)


def _by_share(poll: Poll, rule: Rule) -> Decision:
    ballots, needed = len(poll.votes), rule.needed(len(poll.votes))
    if poll.leader is None:
        return poll.without_winner(f"{_tied(poll)} {needed} of {ballots} needed.", needed=needed)
    words = f"{poll.held} of {ballots} hold {poll.leader}; {needed} needed."
    return Decision(poll.leader if poll.held >= needed else None, words, ballots, poll.held, needed)


def _by_plurality(poll: Poll, _: Rule) -> Decision:
    ballots, held = len(poll.votes), sorted(poll.counts.values())
    if poll.leader is None:
        return poll.without_winner(_tied(poll), needed=held[-1] + 1)
    needed = held[-2] + 1
    words = f"{poll.held} of {ballots} hold {poll.leader}; {needed} needed, one more than the next."
    return Decision(poll.leader, words, ballots, poll.held, needed)


def _tied(poll: Poll) -> str:
    return TIE.format(_joined([option for option, count in poll.counts.items() if count == poll.held]))


def _joined(options: list[str]) -> str:
    return " and ".join([", ".join(options[:-1]), options[-1]])


def _by_ranking(poll: Poll, _: Rule) -> Decision:
    votes = ranked_votes(poll.votes)
    if not votes:
        return poll.without_winner("Nobody ranked the options.")
    winners = schulze_winners(votes, options=poll.settings.options)
    if len(winners) > 1:
        return poll.without_winner(f"{_joined(winners)} are beaten by none; a tie is no decision.")
    return Decision(winners[0], f"No option beats {winners[0]} in {len(votes)} rankings.", len(poll.votes))


def _by_judge(poll: Poll, _: Rule) -> Decision:
    judged = poll.settings.judged
    if judged is None:
        return poll.without_winner("The judge has not decided.")
    return Decision(judged, f"The judge chose {judged}.", len(poll.votes))


def _by_confidence(poll: Poll, _: Rule) -> Decision:
    """Σc′ of an option must be more than half of all; locked until every confidence in it is calibrated."""
    locked = sorted({vote.model for vote in poll.votes if not _is_calibrated(vote.model, poll.settings)})
    if locked:
        names = ", ".join(locked)
        return poll.without_winner(
            f"Locked: {SETTLED_BALLOTS} settled ballots are needed of each model; short: {names}."
        )
    beliefs = beliefs_of(poll.votes, settings=poll.settings)
    total = sum(belief.adjusted for belief in beliefs)
    for option in poll.settings.options:
        weight = sum(belief.adjusted for belief in beliefs if belief.option == option)
        if weight > total / 2:
            words = f"{option} has {weight / total:.0%} of the calibrated confidence; more than half is needed."
            return Decision(option, words, len(poll.votes))
    return poll.without_winner("No option has more than half of the calibrated confidence.")


def _is_calibrated(model: str, settings: Settings) -> bool:
    fit = settings.calibrations.get(model)
    return fit is not None and fit.is_enough


def is_locked(rule: str, *, models: frozenset[str], settings: Settings) -> bool:
    """May a debate with these models not yet choose the rule?"""
    return rule == "confidence-weighted" and not all(_is_calibrated(model, settings) for model in models)


RULES: dict[str, Rule] = {
    "plurality": Rule(
        title="Plurality", words="The option with the most ballots wins; a tie is no decision.", decide=_by_plurality
    ),
    "majority": Rule(
        title="Strict majority",
        words="More than half of the valid ballots.",
        share=Fraction(1, 2),
        decide=_by_share,
    ),
    "two-thirds": Rule(
        title="Two thirds", words="At least two thirds of the valid ballots.", share=Fraction(2, 3), decide=_by_share
    ),
    "three-quarters": Rule(
        title="Three quarters",
        words="At least three quarters of the valid ballots.",
        share=DEFAULT_SHARE,
        decide=_by_share,
    ),
    "unanimity": Rule(title="Unanimity", words="All valid ballots.", share=Fraction(1), decide=_by_share),
    "ranked": Rule(
        title="Ranked (Schulze)",
        words="The option that no other beats, pair by pair, over all rankings; a tie is no decision.",
        decide=_by_ranking,
    ),
    "judge": Rule(
        title="Judge",
        words="One judge decides after the debate.",
        decide=_by_judge,
        needs_quorum=False,
        flag="One judge decided, not the panel.",
    ),
    "confidence-weighted": Rule(
        title="Confidence-weighted",
        words="More than half of the calibrated confidence.",
        decide=_by_confidence,
    ),
}
