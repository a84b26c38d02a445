"""What a panel decided and what that is worth. Each number stands for itself: none is merged into another."""

import re
from typing import Any, TypedDict

from debates.consensus import EXPLANATIONS, RULES, correlation_of, effective_votes
from debates.consensus.beliefs import VERDICT_CAP
from debates.costs import spent
from debates.dissent import Dissent, dissent_of
from debates.models import Ballot, Debate
from debates.revealed import Revealed, reveal
from debates.settlements import Settlement, settlement
from debates.votes import judgement

STATES = {
    "none": "no lead that counts",
    "leaning": "leaning: enough heads, not every gate",
    "consensus": "consensus: every gate is passed",
}
STOPS = {
    "": "It is not over.",
    "consensus": "All gates are passed: a consensus.",
    "lead_cannot_change": "The lead cannot change any more.",
    "stable_disagreement": "Nobody moves any more and nothing new is said: they disagree.",
    "oscillation": "A seat has gone to and fro between options twice.",
    "drift": "Seats moved without citing anything new.",
    "rounds": "The rounds agreed on are over.",
    "budget": "The budget is used up.",
    "user": "Stopped by its user.",
    "quorum_lost": "Quorum lost: too few seats voted.",
}
ROUNDING = 1e-9
LONGEST = 60  # characters of an option named within a sentence


class Count(TypedDict):
    option: str
    text: str
    now: int
    blind: int


class Gate(TypedDict):
    id: str
    title: str
    is_passed: bool
    words: str


class Confidence(TypedDict):
    """V: how probable the panel's beliefs, taken together, make each option; `value`: of the one `of` is about."""

    of: str | None
    value: float | None
    options: dict[str, float]
    is_capped: bool
    is_calibrated: bool
    words: str


class Blind(TypedDict):
    leader: str | None
    winner: str | None
    effect: str  # none | unchanged | decided | undecided | turned | neither
    words: str


class Worth(TypedDict):
    """n_eff: as many independent votes would tell as much as these ballots."""

    n_eff: float
    correlation: float
    is_measured: bool
    words: str
    same_model: str  # a warning; empty where the voters have several models


class Cost(TypedDict):
    """`debates.costs`: runs with their repairs, tokens, and the seconds of its rounds."""

    calls: int
    prompt_tokens: int
    output_tokens: int
    tokens: int
    seconds: float


class Verdict(TypedDict):
    """After `round`, the last that is scored (None: there is none yet)."""

    round: int | None
    option: str | None
    text: str
    decided: bool
    words: str
    leader: str | None
    rule: str
    rule_title: str
    rule_words: str
    judged: bool
    judged_words: str
    label: str | None
    label_words: list[str]
    state: str
    state_words: str
    threshold: str
    gates: list[Gate]
    stop_reason: str
    stop_words: str
    confidence: Confidence
    counts: list[Count]
    ballots: int
    seats: int
    blind: Blind
    ac: float | None
    support: dict[str, float]
    chance: float | None
    worth: Worth
    explanations: dict[str, str]
    cost: Cost
    dissent: Dissent
    settled: Settlement | None


def conclude(debate: Debate) -> Verdict:
    """From the rows as they are: of a debate under way it says how things stand after its last scored round."""
    seen = reveal(debate)
    metrics: dict[str, Any] = (seen.scored.metrics if seen.scored else None) or {}
    winner = _winner(debate, metrics)
    leader = metrics.get("leader")
    blind = _blind(metrics, winner=winner, seen=seen)
    rule = RULES[debate.rule]
    label = _label(metrics, winner=winner, debate=debate)
    return Verdict(
        round=seen.scored.number if seen.scored else None,
        option=winner,
        text=_text(debate, winner),
        decided=winner is not None,
        words=_words(metrics, winner=winner, debate=debate),
        leader=leader,
        rule=debate.rule,
        rule_title=rule.title,
        rule_words=rule.words,
        judged=debate.rule == "judge",
        judged_words=_judged_words(seen),
        label=label["name"],
        label_words=[_named(words, debate) for words in label["reasons"]],
        state=metrics.get("state", "none"),
        state_words=STATES[metrics.get("state", "none")],
        threshold=_named(metrics.get("threshold", ""), debate),
        gates=[_gate(gate, debate) for gate in metrics.get("gates", ())],
        stop_reason=debate.stop_reason,
        stop_words=_stop_words(debate, metrics),
        confidence=_confidence(metrics, of=winner or leader),
        counts=_counts(debate, metrics),
        ballots=metrics.get("ballots", 0),
        seats=sum(seat.votes for seat in seen.seats),
        blind=blind,
        ac=metrics.get("ac"),
        support=metrics.get("support") or {},
        chance=metrics.get("chance"),
        worth=_worth(metrics, seen=seen),
        explanations=EXPLANATIONS,
        cost=_cost(debate),
        dissent=dissent_of(seen, winner=winner),
        settled=settlement(right=debate.right_option, decided=winner, blind=blind["winner"], texts=debate.option_texts),
    )


def _winner(debate: Debate, metrics: dict[str, Any]) -> str | None:
    """A judge speaks after the last round is scored."""
    if debate.rule == "judge":
        return judgement(debate)
    return (metrics.get("decision") or {}).get("winner")


def _text(debate: Debate, option: str | None) -> str:
    return "" if option is None else debate.option_texts.get(option, option)


def quoted(debate: Debate, option: str | None) -> str:
    """An option named within a sentence."""
    text = " ".join(_text(debate, option).split())
    return f"“{text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + '…'}”"


def _words(metrics: dict[str, Any], *, winner: str | None, debate: Debate) -> str:
    if debate.rule == "judge":
        return _judgement_words(debate, winner)
    if not metrics:
        return "No round is scored yet."
    decision, rule = metrics["decision"], _rule_named(debate)
    end = f"decided for {quoted(debate, winner)}" if winner else "no decision"
    if decision["needed"] is None:
        return f"{_named(decision['reason'], debate)} Thus {end}."
    held, ballots, needed = decision["held"], decision["ballots"], decision["needed"]
    leaders = [option for option, count in metrics["counts"].items() if count == held]
    if not ballots or len(leaders) > 1:
        tied = " and ".join(quoted(debate, option) for option in leaders) if ballots else "all options"
        return f"{tied} have {held} of {ballots} each; the rule ({rule}) needs {needed}: {end}."
    return f"{held} of {ballots} hold {quoted(debate, leaders[0])}; the rule ({rule}) needs {needed}: {end}."


def _rule_named(debate: Debate) -> str:
    """ "3/4", "2/3", "strict majority"."""
    rule = RULES[debate.rule]
    is_fraction = rule.share is not None and rule.share.denominator > 2  # noqa: PLR2004  (1/2 is not yet a majority)
    return str(rule.share) if is_fraction else rule.title.lower()


def _judgement_words(debate: Debate, winner: str | None) -> str:
    if winner:
        return f"The judge chose {quoted(debate, winner)}."
    if debate.status != Debate.Status.ENDED:
        return "The judge has not decided yet."
    return "No judgement: the judge chose nothing, or the other option when the sides were swapped."


def _named(words: str, debate: Debate) -> str:
    """The words of `consensus`, with the options by their texts."""
    ids = "|".join(re.escape(option) for option in debate.option_texts)
    if not ids:
        return words
    return re.sub(rf"\b({ids})\b", lambda found: quoted(debate, found[0]), words)


def _gate(gate: dict[str, Any], debate: Debate) -> Gate:
    words = _named(gate["words"], debate)
    return Gate(id=gate["id"], title=gate["title"], is_passed=gate["is_passed"], words=words)


def _cost(debate: Debate) -> Cost:
    cost = spent(debate)
    return Cost(
        calls=cost.calls,
        prompt_tokens=cost.prompt_tokens,
        output_tokens=cost.output_tokens,
        tokens=cost.tokens,
        seconds=cost.seconds,
    )


def _label(metrics: dict[str, Any], *, winner: str | None, debate: Debate) -> dict[str, Any]:
    found: dict[str, Any] = metrics.get("label") or {"name": None, "reasons": []}
    if winner is None:
        return {"name": None, "reasons": ["Nothing was decided, so there is nothing to label."]}
    if found["name"] is None:  # the judge has spoken since
        return {"name": "procedural", "reasons": ["The rule is met.", RULES[debate.rule].flag]}
    return found


def _judged_words(seen: Revealed) -> str:
    """Who judged, and the reason given; empty where the rule has no judge."""
    if seen.debate.rule != "judge":
        return ""
    ballots = [
        ballot
        for round in seen.rounds
        for ballot in round.ballots.all()
        if ballot.is_judgement and ballot.status == Ballot.Status.CAST
    ]
    told = [f"{ballot.seat.name} ({ballot.seat.model}): {ballot.reason}" for ballot in ballots if ballot.reason]
    return " ".join([RULES["judge"].flag, *told])


def _stop_words(debate: Debate, metrics: dict[str, Any]) -> str:
    stop = metrics.get("stop") or {}
    if debate.stop_reason and stop.get("reason") == debate.stop_reason:
        return str(stop["words"])
    return STOPS.get(debate.stop_reason, debate.stop_reason)


def _confidence(metrics: dict[str, Any], *, of: str | None) -> Confidence:
    options = metrics.get("verdict_confidence") or {}
    value = options.get(of) if of else None
    is_calibrated = bool(metrics.get("is_calibrated"))
    is_capped = not is_calibrated and any(abs(share - VERDICT_CAP) < ROUNDING for share in options.values())
    return Confidence(
        of=of,
        value=value,
        options=options,
        is_capped=is_capped,
        is_calibrated=is_calibrated,
        words=_confidence_words(value, is_calibrated=is_calibrated, is_capped=is_capped),
    )


def _confidence_words(value: float | None, *, is_calibrated: bool, is_capped: bool) -> str:
    if value is None:
        return "No ballot carries the confidence that this would need."
    if is_calibrated:
        return f"{value:.0%}, calibrated on settled debates."
    cap = f", capped at {VERDICT_CAP:.0%}" if is_capped else ""
    return f"{value:.0%}, uncalibrated{cap}: how much these models' confidence is worth has not been measured."


def _counts(debate: Debate, metrics: dict[str, Any]) -> list[Count]:
    now, blind = metrics.get("counts") or {}, (metrics.get("blind") or {}).get("counts") or {}
    return [
        Count(option=option, text=text, now=now.get(option, 0), blind=blind.get(option, 0))
        for option, text in debate.option_texts.items()
    ]


def _blind(metrics: dict[str, Any], *, winner: str | None, seen: Revealed) -> Blind:
    """What the debate has made of the vote of round 0."""
    blind = metrics.get("blind") or {}
    before, was, now = blind.get("winner"), blind.get("leader"), metrics.get("leader")
    if not sum((blind.get("counts") or {}).values()):
        return Blind(leader=None, winner=None, effect="none", words="There was no blind vote to compare with.")
    effect = _effect(before, winner)
    words = _effect_words(effect, before=before, after=winner, debate=seen.debate)
    if len(seen.voted) == 1 and before == winner:
        words = "The blind vote is all there is so far."
    elif effect in ("neither", "unchanged") and was != now:
        words += f" The lead went from {_lead(seen.debate, was)} to {_lead(seen.debate, now)}."
    return Blind(leader=was, winner=before, effect=effect, words=words)


def _lead(debate: Debate, option: str | None) -> str:
    return quoted(debate, option) if option else "nobody"


def _effect(before: str | None, after: str | None) -> str:
    if before == after:
        return "unchanged" if after else "neither"
    if before is None:
        return "decided"
    return "turned" if after else "undecided"


def _effect_words(effect: str, *, before: str | None, after: str | None, debate: Debate) -> str:
    old, new = quoted(debate, before), quoted(debate, after)
    return {
        "neither": "Neither the blind vote nor the debate decided.",
        "unchanged": f"The debate changed nothing: the blind vote chose {new}, too.",
        "decided": f"The blind vote decided nothing; the debate led to {new}.",
        "undecided": f"The blind vote chose {old}; the debate turned that into no decision.",
        "turned": f"The blind vote chose {old}; the debate turned it to {new}.",
    }[effect]


def _worth(metrics: dict[str, Any], *, seen: Revealed) -> Worth:
    models = [seat.model for seat in seen.seats if seat.votes]
    assumed = correlation_of(models)
    correlation = metrics.get("correlation", assumed.value)
    words = metrics.get("correlation_words", assumed.words)
    ballots, n_eff = metrics.get("ballots", 0), metrics.get("n_eff", 0.0)
    return Worth(
        n_eff=n_eff,
        correlation=correlation,
        is_measured=metrics.get("is_correlation_measured", False),
        words=f"{ballots} ballot{'' if ballots == 1 else 's'} ≈ {n_eff:.1f} independent votes ({words})",
        same_model=_same_model(models, correlation=correlation),
    )


def _same_model(models: list[str], *, correlation: float) -> str:
    if len(set(models)) > 1 or len(models) <= 1:
        return ""
    votes = effective_votes(len(models), correlation=correlation)
    return f"Same model ×{len(models)} ≈ {votes:.1f} independent votes"
