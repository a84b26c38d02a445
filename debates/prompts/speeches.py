"""Speeches: a voter's answer in its round, the Devil's Advocate's case, the Moderator's reports."""

from collections import Counter
from typing import Any

from debates.models import Ballot, Debate, Round, Speech
from debates.prompts.ask import Ask, Reader, messages
from debates.prompts.claims import claim_line, last_ballots, leaders
from debates.prompts.fences import fence, line, paragraphs
from debates.prompts.orders import options_as_lettered, shuffled
from debates.prompts.oxford import leg, side_of
from debates.prompts.peers import last_words, nameless_reason, others
from debates.prompts.question import asked, injected, option_line

Kind = Round.Kind
WORDS_PER_TOKEN = 0.6  # low: a speech that fits is not cut
LEADING_CLAIMS, LEADING_CLAIM = 8, 220  # characters of each
REASONS_OF_ALL, REASON = 3_000, 240

BLIND = "Answer by your own method: which of the possible answers is right, and why? End with your answer in its words."
OPEN = "Answer by your own method. End with your answer in one sentence."
SPEAK_AGAIN = (
    "Name the flaw in your earlier argument, or keep your answer and say why it stands. Change your answer only for a "
    "reason that you can name; that others hold another one is no reason. End with your answer in its words."
)
ANSWER_CHALLENGE = "First answer the challenger's strongest point and each refuted claim that you relied on."
FIRST_WORDS = "Weigh what they said, answer by your own method, and end with your answer in its words."
OXFORD = {
    Kind.OPENING: "This is the opening. Make the two or three strongest points for your side.",
    Kind.REBUTTAL: "This is a rebuttal. Quote the other side's strongest point and answer it, then defend your own.",
    Kind.CLOSING: "This is the closing. Say what decides the matter and what the other side left unanswered.",
}


def answer(speech: Speech) -> Ask:
    """A voter's speech, or that of an assigned side."""
    reader = Reader.of(speech)
    return _opposed(reader) if reader.round.kind in OXFORD else _on_panel(reader)


def _on_panel(reader: Reader) -> Ask:
    is_blind = reader.round.kind == Kind.BLIND
    said = "" if is_blind else last_words(reader.debate, seat=reader.seat, before=reader.round.number)
    seen = "" if is_blind else others(reader)
    task = (BLIND if reader.debate.options else OPEN) if is_blind else SPEAK_AGAIN if said else FIRST_WORDS
    answered = ANSWER_CHALLENGE if reader.round.kind == Kind.CHALLENGE and seen else ""
    return _speak(reader, said=said, parts=[seen, injected(reader.debate), f"{answered} {task}".strip()])


def _opposed(reader: Reader) -> Ask:
    side = side_of(reader.seat, debate=reader.debate, number=reader.round.number)
    since = leg(reader.round.number).start
    said = last_words(reader.debate, seat=reader.seat, before=reader.round.number, since=since)
    assigned = f"Your side is: “{option_line(reader.debate, side)}”. Argue for it, whatever you think yourself."
    task = f"{assigned} {OXFORD[Kind(reader.round.kind)]}"
    return _speak(reader, said=said, parts=[others(reader), injected(reader.debate), task])


def challenge(speech: Speech) -> Ask:
    """The Devil's Advocate against the leader; where several lead, against each of them."""
    reader = Reader.of(speech)
    leading = leaders(reader.debate, before=reader.round.number)
    words = " and ".join(f"“{option_line(reader.debate, option)}”" for option in leading)
    task = "Make the strongest honest case against it" if len(leading) == 1 else "Say what speaks against each of them"
    told = (
        f"The panel leans to {words}. {task}: at most three points, the strongest first. Attack the claims by number."
    )
    return _speak(reader, parts=[_behind(reader, leading), injected(reader.debate), told if leading else NOBODY_LEADS])


NOBODY_LEADS = "No answer leads yet. Say of each possible answer what speaks most against it, in one point each."


def _behind(reader: Reader, leading: list[str]) -> str:
    claims = reader.debate.claims.filter(option__in=leading).select_related("seat").order_by("-number")[:LEADING_CLAIMS]
    lines = [f"- {claim_line(claim, most=LEADING_CLAIM)}" for claim in reversed(claims)]
    return fence("It rests on these claims", "\n".join(lines)) if lines else ""


def statistics(speech: Speech) -> Ask:
    """Delphi: the Moderator gathers the reasons of the last ballots, without names."""
    reader = Reader.of(speech)
    ballots = last_ballots(reader.debate, before=reader.round.number)
    return _speak(reader, parts=[_reasons_by_option(reader, ballots), injected(reader.debate), GATHER])


GATHER = (
    "Sum up for every answer the reasons given for it, in at most three short points each, the weaker answers as fully "
    "as the stronger ones. Add nothing of your own. Name no person and no number of votes."
)


def _reasons_by_option(reader: Reader, ballots: list[Ballot]) -> str:
    most = min(REASON, REASONS_OF_ALL // max(1, len(ballots)))
    return paragraphs(
        fence(f"Reasons for “{option_line(reader.debate, option)}”", "\n".join(reasons))
        for option in options_as_lettered(reader.debate, reader.seat)
        if (reasons := _reasons_for(option, ballots, reader=reader, most=most))
    )


def _reasons_for(option: str, ballots: list[Ballot], *, reader: Reader, most: int) -> list[str]:
    held = [ballot for ballot in ballots if ballot.option == option]
    given = [line(nameless_reason(ballot, debate=reader.debate), most=most) for ballot in held]
    return [f"- {reason}" for reason in shuffled(filter(None, given), reader.debate.pk, reader.round.number, option)]


def verdict(speech: Speech) -> Ask:
    """The Moderator's account of a decision that stands already."""
    reader = Reader.of(speech)
    decided: dict[str, Any] = reader.debate.verdict or {}
    fixed = f"{_decision(reader.debate, decided)} You cannot change this decision, and you do not judge it."
    ballots = last_ballots(reader.debate, before=reader.round.number + 1)
    votes = _votes(reader.debate, ballots)
    parts = [_reasons_by_option(reader, ballots), _judged(reader.debate), votes, fixed, WRITE_UP]
    return _speak(reader, parts=parts)


WRITE_UP = (
    "Write it up for readers who have not followed it: first the decision and the reasons given for it; then, as "
    "fully, what the others hold and why; last, which question is still open. Add no argument of your own."
)


def _decision(debate: Debate, decided: dict[str, Any]) -> str:
    option = decided.get("option")
    if option and option in debate.option_texts:
        return f"The vote is over. The panel has decided, and this is fixed: “{option_line(debate, option)}”."
    return "The vote is over. The panel has come to no decision, and this is fixed: say so, and name no winner."


def _judged(debate: Debate) -> str:
    judged = Ballot.objects.filter(round__debate=debate, is_judgement=True, status=Ballot.Status.CAST)
    reasons = [line(reason, most=REASON) for reason in judged.values_list("reason", flat=True)]
    return fence("The judge's reasons", "\n".join(f"- {reason}" for reason in reasons)) if reasons else ""


def _votes(debate: Debate, ballots: list[Ballot]) -> str:
    held = Counter(ballot.option for ballot in ballots if ballot.status == Ballot.Status.CAST)
    lines = [f"- {count} of {len(ballots)}: {option_line(debate, option)}" for option, count in held.most_common()]
    missing = len(ballots) - held.total()
    lines += [f"- {missing} of {len(ballots)}: abstained"] if missing else []
    return fence("The last vote", "\n".join(lines)) if lines else ""


def _speak(reader: Reader, *, parts: list[str], said: str = "") -> Ask:
    tokens = reader.debate.speech_tokens
    question = asked(reader.debate, options=options_as_lettered(reader.debate, reader.seat))
    return Ask(
        messages=messages(reader.seat, question=question, said=said, task=paragraphs([*parts, _length(tokens)])),
        options={"num_predict": tokens},
    )


def _length(tokens: int) -> str:
    return f"Write at most {max(30, round(tokens * WORDS_PER_TOKEN / 10) * 10)} words, without headings."
