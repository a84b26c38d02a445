"""Claims as a reader may know them: those its protocol lets it see, numbered, with what the Fact-Checker found."""

import re
from collections import Counter
from collections.abc import Iterable

from debates.models import Ballot, Claim, Debate, Seat, Speech
from debates.prompts.ask import Reader
from debates.prompts.fences import fence, line
from debates.prompts.question import option_line
from debates.prompts.reading import read_once
from debates.prompts.schemas import MOST_CHECKS
from debates.protocols import PROTOCOLS, Sees

MOST_KNOWN = 20
LISTED, CHECKED, NOTE = 130, 200, 100  # characters


@read_once
def last_ballots(debate: Debate, *, before: int) -> list[Ballot]:
    """The panel's, of the last round with ballots before that number; by seat."""
    held = Ballot.objects.filter(round__debate=debate, round__number__lt=before, is_judgement=False)
    newest_first = held.exclude(status=Ballot.Status.WAITING).order_by("-round__number", "seat__position")
    rows = list(newest_first.select_related("seat", "round")[: len(voters(debate))])  # a round holds no more
    return [ballot for ballot in rows if ballot.round_id == rows[0].round_id]


@read_once
def leaders(debate: Debate, *, before: int) -> list[str]:
    """The options that most ballots hold: one, several where they tie, none where nobody voted."""
    cast = [ballot for ballot in last_ballots(debate, before=before) if ballot.status == Ballot.Status.CAST]
    counts = Counter(ballot.option for ballot in cast)
    return [option for option, count in counts.items() if count == max(counts.values())]


@read_once
def all_claims(debate: Debate) -> list[Claim]:
    """By number, with the seats that made them and their rounds."""
    return list(debate.claims.select_related("round", "seat").order_by("number"))


@read_once
def citations(debate: Debate) -> Counter[int]:
    """Claim's number → ballots that have cited it."""
    cited = Ballot.objects.filter(round__debate=debate, status=Ballot.Status.CAST).values_list("cited", flat=True)
    return Counter(number for numbers in cited for number in numbers)


def claims_to_check(speech: Speech) -> list[Claim]:
    """At most eight, of the leader's side where it has any: facts and inferences first, the most cited first."""
    debate = speech.round.debate
    leading, cited = leaders(debate, before=speech.round.number), citations(debate)
    open_claims = list(debate.claims.filter(checked_in=None).order_by("number"))
    pool = [claim for claim in open_claims if claim.option in leading] or open_claims
    pool.sort(key=lambda claim: (claim.kind == Claim.Kind.VALUE, -cited[claim.number], -claim.number))
    return pool[:MOST_CHECKS]


def known_claims(reader: Reader) -> list[Claim]:
    """The claims that a seat may cite, by number: at most twenty, the newest rounds' and the most cited."""
    cited = citations(reader.debate)
    seen = [claim for claim in _claims_before(reader) if is_seen(claim, reader=reader)]
    seen.sort(key=lambda claim: (-claim.round.number, -cited[claim.number], claim.number))
    return sorted(seen[:MOST_KNOWN], key=lambda claim: claim.number)


def _claims_before(reader: Reader) -> Iterable[Claim]:
    """And of this round what the challenger says and the owner adds."""
    for claim in all_claims(reader.debate):
        if claim.round.number < reader.round.number or (claim.round_id == reader.round.pk and not claim.is_a_voters):
            yield claim


def is_seen(claim: Claim, *, reader: Reader) -> bool:
    """Its own, those of seats without a vote, those checked in public, and whatever its protocol shows."""
    if claim.seat_id == reader.seat.pk or not claim.is_a_voters or claim.checked_in_id is not None:
        return True
    match PROTOCOLS[reader.debate.protocol].sees:
        case Sees.ALL | Sees.STATISTICS | Sees.OPPONENTS:
            return True
        case Sees.NEIGHBOURS:
            return claim.seat_id in {seat.pk for seat in neighbours(reader)}
        case Sees.NOBODY | Sees.ANSWERS:
            return False


@read_once
def voters(debate: Debate) -> list[Seat]:
    return [seat for seat in debate.seats.all() if seat.votes]


def neighbours(reader: Reader) -> list[Seat]:
    """The seats before and after a voter in the ring of voters."""
    ring = voters(reader.debate)
    at = ring.index(reader.seat)
    around = {seat.pk: seat for seat in (ring[at - 1], ring[(at + 1) % len(ring)])}
    around.pop(reader.seat.pk, None)
    return list(around.values())


def anonymous(text: str, *, author: Seat, debate: Debate) -> str:
    """A seat that names itself or its model is called what the others know it by; words of the question stay."""
    asked = f"{debate.question} {debate.background}".lower()
    models = {author.model, author.model.partition(":")[0].rpartition("/")[2]}
    names = [name for name in (author.name, *sorted(models, key=len, reverse=True)) if name.lower() not in asked]
    told = [re.escape(name) if name == author.name else f"(?i:{re.escape(name)})" for name in names if name]
    if not told:
        return text
    return re.sub(rf"(?:\b[Tt]he\s+)?(?<!\w)(?:{'|'.join(told)})(?!\w)", f"Agent {author.alias}", text)


def claim_line(claim: Claim, *, most: int = LISTED, note: int = 0) -> str:
    """`claim 3: …`, with its label where it has one."""
    told = anonymous(claim.text, author=claim.seat, debate=claim.debate) if claim.seat else claim.text
    said = line(told, most=most)
    if claim.status == Claim.Status.UNCHECKED:
        return f"claim {claim.number}: {said}"
    why = f", {line(claim.note, most=note)}" if note and claim.note else ""
    return f"claim {claim.number}: {said} ({claim.get_status_display()}{why})"


def claim_board(claims: Iterable[Claim], *, reader: Reader) -> str:
    """What a ballot may cite; the reader's own are marked."""
    lines = [f"{claim_line(claim)}{' (yours)' * (claim.seat_id == reader.seat.pk)}" for claim in claims]
    return fence("Claims made so far", "\n".join(lines)) if lines else ""


def held_line(ballot: Ballot, *, debate: Debate) -> str:
    return option_line(debate, ballot.option) if ballot.status == Ballot.Status.CAST else "no answer yet"
