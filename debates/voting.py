"""Ballots and probes: asked in silence, released together at the barrier."""

import re
from typing import Any

from agents import runs
from agents.errors import Refused
from agents.models import Run
from debates import ballots, prompts, tasks
from debates.events import DebateBallot, DebateVoted, say
from debates.models import Ballot, Claim, Debate, Probe, Round, Seat, Speech
from debates.prompts import Ask
from debates.speeches import by_model, prepared

PURPOSE = "debate.ballot"
PROBE_PURPOSE = "debate.probe"
MOST_REPAIRS = 1
NOT_WORDS = re.compile(r"\W+")


def begin(round: Round, *, seats: list[Seat], is_judgement: bool = False) -> None:
    """Have seats vote. One whose speech failed without a word abstains: nothing would stand behind its vote."""
    failed = dict(
        round.speeches.filter(kind=Speech.Kind.ANSWER, status=Speech.Status.FAILED, text="").values_list(
            "seat", "error"
        )
    )
    asked = []
    for seat in by_model(round.debate, seats):
        letters = prompts.shuffle_letters(round.debate, seat)
        ballot = Ballot(round=round, seat=seat, letters=letters, is_judgement=is_judgement)
        if seat.pk in failed:
            refusal = f"Its speech failed: {failed[seat.pk]}"
        else:
            refusal = _ask(ballot, prompts.judgement(ballot) if is_judgement else prompts.ballot(ballot))
        if refusal:
            ballot.status, ballot.abstention = Ballot.Status.ABSTAINED, refusal[: ballots.LONGEST_REASON]
        asked.append(ballot)
    runs.put_in_line([ballot.run for ballot in asked if ballot.run])
    Ballot.objects.bulk_create(asked)


def _ask(ballot: Ballot, ask: Ask) -> str:
    """Neither the ballot nor its run is saved here. Why no host takes it, if none does."""
    try:
        ballot.run = prepared(ask, purpose=PURPOSE, subject=ballot, seat=ballot.seat, debate=ballot.round.debate)
    except Refused as refusal:
        return refusal.message
    return ""


def settle(run: Run) -> None:
    """A ballot's run has ended; called within the transaction that ends it."""
    waiting = Ballot.objects.filter(pk=run.subject, run=run, status=Ballot.Status.WAITING)
    ballot = waiting.select_related("round__debate", "seat").order_by().first()
    if ballot is None or _is_asked_again(ballot, run):
        return
    if ballot.status == Ballot.Status.CAST:
        say(ballot.round.debate.topic, voted(ballot))
    tasks.ring_at_barrier(ballot.round)


def _is_asked_again(ballot: Ballot, run: Run) -> bool:
    """Read what came and count it, or as an abstention; True when it is asked to repair what could not be read."""
    if run.status != Run.Status.DONE:
        ballots.abstain(ballot, run.error or "It was stopped.")
        return False
    problem = ballots.read(ballot, run.text, run.logprobs)
    if problem is None:
        ballots.cast(ballot)
        return False
    if ballot.repairs < MOST_REPAIRS:
        ballot.repairs += 1
        refusal = _ask(ballot, prompts.repair(ballot, text=run.text, problem=problem))
        if not refusal and ballot.run:
            runs.put_in_line([ballot.run])
            ballot.save(update_fields=["run", "repairs"])
            return True
        problem = refusal
    ballot.error = problem
    ballots.abstain(ballot, "unparsed")
    return False


def voted(ballot: Ballot) -> DebateVoted:
    return {"type": "debate.voted", "round": ballot.round.number, "seat": str(ballot.seat_id)}


def begin_probes(round: Round) -> None:
    """Ask each who has voted for the letter alone, with the options in all their cyclic orders."""
    probes = []
    for ballot in round.ballots.filter(status=Ballot.Status.CAST).select_related("seat__agent"):
        ballot.round = round
        for shift, letters in enumerate(prompts.probe_letters(ballot)):
            probes.append(Probe(ballot=ballot, shift=shift, letters=letters))
            _prepare(probes[-1])
    runs.put_in_line([probe.run for probe in probes if probe.run])
    Probe.objects.bulk_create(probes)


def _prepare(probe: Probe) -> None:
    """Neither the probe nor its run is saved here."""
    ballot = probe.ballot
    try:
        ask = prompts.probe(probe)
        probe.run = prepared(ask, purpose=PROBE_PURPOSE, subject=probe, seat=ballot.seat, debate=ballot.round.debate)
    except Refused:
        probe.is_over = True


def settle_probe(run: Run) -> None:
    found = Probe.objects.filter(pk=run.subject, run=run, is_over=False)
    probe = found.select_related("ballot__round__debate").first()
    if probe is None:
        return
    if run.status == Run.Status.DONE:
        probe.belief = ballots.read_probe(probe, run.logprobs)
    found.update(is_over=True, belief=probe.belief)
    tasks.ring_at_barrier(probe.ballot.round)


def reveal(round: Round, cast: list[Ballot]) -> None:
    """Past the barrier: number the claims, and show what everybody of the panel voted."""
    known = {_plain(text): number for text, number in round.debate.claims.values_list("text", "number")}
    made = [claim for ballot in cast for claim in _number_claims(ballot, round=round, known=known)]
    Claim.objects.bulk_create(made)
    if round.debate.belief == Debate.Belief.PROBE:
        for ballot in cast:
            ballots.combine_probes(ballot)
            ballot.save(update_fields=["probed"])
    say(round.debate.topic, revealed(round, cast))


def _number_claims(ballot: Ballot, *, round: Round, known: dict[str, int]) -> list[Claim]:
    """Those that are new, not saved yet. A claim that was made before is a citation of that one."""
    made, cited = [], list(ballot.cited)
    for claim in ballot.claims:
        number = known.get(_plain(claim["text"]))
        if number is None:
            number = known[_plain(claim["text"])] = max(known.values(), default=0) + 1
            fields = {"debate": round.debate, "round": round, "seat_id": ballot.seat_id, "option": ballot.option}
            made.append(Claim(number=number, **fields, **claim))
        elif number not in cited:
            cited.append(number)
    if cited != ballot.cited:
        ballot.cited = cited
        ballot.save(update_fields=["cited"])
    return made


def _plain(text: str) -> str:
    return NOT_WORDS.sub(" ", text).strip().casefold()


def revealed(round: Round, cast: list[Ballot]) -> DebateBallot:
    return {"type": "debate.ballot", "round": round.number, "ballots": [shown(ballot) for ballot in cast]}


def shown(ballot: Ballot) -> dict[str, Any]:
    return {"seat": str(ballot.seat_id), "option": ballot.option or None, "abstention": ballot.abstention}
