"""What a seat is told of the others before it speaks again; how much of it is the protocol's to say."""

from collections import Counter
from collections.abc import Callable, Mapping

from debates.models import Ballot, Claim, Debate, Round, Seat, Speech
from debates.prompts.ask import Reader
from debates.prompts.claims import (
    CHECKED,
    NOTE,
    all_claims,
    anonymous,
    claim_line,
    held_line,
    last_ballots,
    leaders,
    neighbours,
    voters,
)
from debates.prompts.fences import clean, clip, clip_middle, fence, line, paragraphs
from debates.prompts.orders import options_as_lettered, shuffled
from debates.prompts.oxford import opponents
from debates.prompts.question import option_line
from debates.prompts.reading import read_once
from debates.protocols import PROTOCOLS, Sees

OVERALL, OVERALL_IN_CHALLENGE = 2_400, 1_300  # characters of all the others together
MOST_OF_ONE = 700
CLAIMS_OF_ONE, CLAIM, REASON = 3, 180, 280
CASE = 900  # of the challenger
REPORT = 1_400  # of the Moderator, in Delphi
CHECKS = 1_100


def others(reader: Reader) -> str:
    """As the protocol has it, then the challenge of this round, if it is one."""
    return paragraphs([VIEWS[PROTOCOLS[reader.debate.protocol].sees](reader), challenged(reader)])


def _nobody(_: Reader) -> str:
    return ""


def _all(reader: Reader) -> str:
    return _said_by([seat for seat in voters(reader.debate) if seat.pk != reader.seat.pk], reader=reader)


def _neighbours(reader: Reader) -> str:
    return _said_by(neighbours(reader), reader=reader)


def _said_by(seats: list[Seat], *, reader: Reader) -> str:
    overall = OVERALL_IN_CHALLENGE if reader.round.kind == Round.Kind.CHALLENGE else OVERALL
    most = min(MOST_OF_ONE, overall // max(1, len(seats)))
    ballots = {ballot.seat_id: ballot for ballot in last_ballots(reader.debate, before=reader.round.number)}
    said = [_said(seat, ballots.get(seat.pk), reader=reader, most=most) for seat in in_order(seats, reader)]
    return paragraphs(["The others on the panel:", *said]) if said else ""


def in_order(seats: list[Seat], reader: Reader) -> list[Seat]:
    return shuffled(seats, reader.debate.pk, reader.round.number, reader.seat.pk)


def _said(seat: Seat, ballot: Ballot | None, *, reader: Reader, most: int) -> str:
    """Its answer and the claims it rests on; without claims its reason, without a ballot the end of its speech."""
    answer = [f"answers: {held_line(ballot, debate=reader.debate)}"] if ballot and reader.debate.options else []
    claims = [f"- {claim_line(claim, most=CLAIM)}" for claim in _claims_behind(seat, ballot, reader=reader)]
    lines = [*answer, *(claims or _reasons(seat, ballot, reader=reader))]
    return fence(f"Agent {seat.alias}", clip("\n".join(lines), most=most))


def _claims_behind(seat: Seat, ballot: Ballot | None, *, reader: Reader) -> list[Claim]:
    """The newest of those it made for the answer that it holds."""
    if ballot is None or not ballot.option:
        return []
    earlier = [claim for claim in all_claims(reader.debate) if claim.round.number < reader.round.number]
    made = [claim for claim in earlier if (claim.seat_id, claim.option) == (seat.pk, ballot.option)]
    return made[-CLAIMS_OF_ONE:]


def _reasons(seat: Seat, ballot: Ballot | None, *, reader: Reader) -> list[str]:
    reason = ballot.reason if ballot else ""
    said = clean(reason) or last_words(reader.debate, seat=seat, before=reader.round.number)
    told = anonymous(" ".join(said.split()), author=seat, debate=reader.debate)
    return [f"- {clip_middle(told, most=REASON)}"] if told else []


def last_words(debate: Debate, *, seat: Seat, before: int, since: int = 0) -> str:
    """A seat's last speech of those rounds; empty where there is none."""
    spoken = [speech for speech in _spoken(debate) if speech.seat_id == seat.pk]
    heard = [speech for speech in spoken if since <= speech.round.number < before]
    return clean(heard[-1].text) if heard else ""


@read_once
def _spoken(debate: Debate) -> list[Speech]:
    """The answers of all, oldest first."""
    speeches = Speech.objects.filter(round__debate=debate, kind=Speech.Kind.ANSWER).exclude(text="")
    return list(speeches.select_related("round").defer("html").order_by("round__number"))


def _answers(reader: Reader) -> str:
    """What the others answer, and not why."""
    ballots = {ballot.seat_id: ballot for ballot in last_ballots(reader.debate, before=reader.round.number)}
    ballots.pop(reader.seat.pk, None)
    seats = in_order([ballot.seat for ballot in ballots.values()], reader)
    lines = [f"- Agent {seat.alias}: {held_line(ballots[seat.pk], debate=reader.debate)}" for seat in seats]
    return fence("The others' answers", "\n".join(lines)) if lines else ""


def _statistics(reader: Reader) -> str:
    report = reader.round.speeches.filter(kind=Speech.Kind.STATISTICS).exclude(text="").first()
    reasons = clip(clean(report.text), most=REPORT) if report else "\n".join(_nameless_reasons(reader))
    return paragraphs([counts(reader), fence("The reasons given", reasons) if reasons else ""])


def counts(reader: Reader) -> str:
    """How many hold what, in the order in which the reader's ballots have the options."""
    ballots = last_ballots(reader.debate, before=reader.round.number)
    held = Counter(ballot.option for ballot in ballots if ballot.status == Ballot.Status.CAST)
    if not ballots:
        return ""
    options = options_as_lettered(reader.debate, reader.seat)
    lines = [f"- {held[option]} of {len(ballots)}: {option_line(reader.debate, option)}" for option in options]
    missing = len(ballots) - held.total()
    return fence("The last vote", "\n".join([*lines, *([f"- {missing} of {len(ballots)}: no answer"] * bool(missing))]))


def _nameless_reasons(reader: Reader) -> list[str]:
    """Where the Moderator's report failed: the reasons as the ballots give them."""
    ballots = last_ballots(reader.debate, before=reader.round.number)
    given = [f"- {reason}" for ballot in ballots if (reason := nameless_reason(ballot, debate=reader.debate))]
    return shuffled(given, reader.debate.pk, reader.round.number, reader.seat.pk)[: REPORT // REASON]


def nameless_reason(ballot: Ballot, *, debate: Debate) -> str:
    reason = line(ballot.reason, most=REASON)
    return anonymous(reason, author=ballot.seat, debate=debate).replace(f"Agent {ballot.seat.alias}", "an agent")


VIEWS: Mapping[Sees, Callable[[Reader], str]] = {
    Sees.NOBODY: _nobody,
    Sees.ALL: _all,
    Sees.NEIGHBOURS: _neighbours,
    Sees.ANSWERS: _answers,
    Sees.STATISTICS: _statistics,
    Sees.OPPONENTS: opponents,
}


def challenged(reader: Reader) -> str:
    """The Devil's Advocate's case and the Fact-Checker's labels of this round, if it is a challenge."""
    if reader.round.kind != Round.Kind.CHALLENGE:
        return ""
    spoken = (
        reader.round.speeches.filter(kind=Speech.Kind.CHALLENGE)
        .exclude(text="")
        .select_related("seat", "round__debate")
        .first()
    )
    against = " and ".join(
        f"“{option_line(reader.debate, option)}”" for option in leaders(reader.debate, before=reader.round.number)
    )
    label = f"The challenger's case against {against}" if against else "The challenger's case"
    case = fence(label, clip_middle(told(spoken), most=CASE)) if spoken else ""
    checked = reader.debate.claims.filter(checked_in=reader.round).select_related("seat").order_by("number")
    lines = [f"- {claim_line(claim, most=CHECKED, note=NOTE)}" for claim in checked]
    return paragraphs([case, fence("The fact-checker's labels", clip("\n".join(lines), most=CHECKS)) if lines else ""])


def told(speech: Speech) -> str:
    """A speech without its speaker's name."""
    return anonymous(clean(speech.text), author=speech.seat, debate=speech.round.debate)
