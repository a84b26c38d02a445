"""Speeches: asked of a seat, and what is to happen when their runs end."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models.functions import Now

from agents import runs
from agents.errors import AgentDisabled, Refused
from agents.models import Host, Run
from debates import prompts, structured, tasks
from debates.events import DebateSpeech, say
from debates.models import Debate, Round, Seat, Speech
from debates.prompts import Ask
from debates.prompts.reading import read_once

PURPOSE = "debate.speech"
Kind = Speech.Kind
ASKS: dict[str, Callable[[Speech], Ask]] = {
    Kind.ANSWER: prompts.answer,
    Kind.CHALLENGE: prompts.challenge,
    Kind.CHECKS: prompts.checks,
    Kind.OPTIONS: prompts.options,
    Kind.STATISTICS: prompts.statistics,
    Kind.RANKING: prompts.ranking,
    Kind.VERDICT: prompts.verdict,
}
MOST_REPAIRS = 1
THINKING_TOKENS = 2_000


def _read_checks(speech: Speech, text: str) -> Any:
    return structured.read_checks(text, {claim.number for claim in prompts.claims_to_check(speech)})


def _read_options(_: Speech, text: str) -> Any:
    return structured.read_options(text)


def _read_ranking(speech: Speech, text: str) -> Any:
    return structured.read_ranking(text, prompts.ranking_letters(speech))


READERS: dict[str, Callable[[Speech, str], Any]] = {  # of those that are JSON
    Kind.CHECKS: _read_checks,
    Kind.OPTIONS: _read_options,
    Kind.RANKING: _read_ranking,
}


def begin(round: Round, *, seats: Iterable[Seat], kind: str) -> None:
    """Have seats speak at the same time."""
    speeches = [Speech(round=round, seat=seat, kind=kind) for seat in by_model(round.debate, seats)]
    for speech in speeches:
        _ask(speech, ASKS[kind](speech))
    runs.put_in_line([speech.run for speech in speeches if speech.run])
    Speech.objects.bulk_create(speeches)
    for speech in speeches:
        say(round.debate.topic, begun(speech))


def by_model(debate: Debate, seats: Iterable[Seat]) -> list[Seat]:
    """A host that takes one at a time loads each model once: what is loaded goes first, then one after the other."""
    loaded = {model for host in _enabled_hosts(debate) for model in host.loaded}
    return sorted(seats, key=lambda seat: (seat.model not in loaded, seat.model, seat.position))


def _ask(speech: Speech, ask: Ask) -> None:
    """Neither the speech nor its run is saved here."""
    try:
        speech.run = prepared(
            ask,
            purpose=PURPOSE,
            subject=speech,
            seat=speech.seat,
            debate=speech.round.debate,
            topic="" if speech.kind in READERS else speech.round.debate.topic,
        )
    except Refused as refusal:
        speech.status, speech.error = Speech.Status.FAILED, refusal.message


def prepared(  # noqa: PLR0913  (who asks what of whom for which row)
    ask: Ask, *, purpose: str, subject: Any, seat: Seat, debate: Debate, topic: str = ""
) -> Run:
    """A seat's run, still to be put in line. Raises Refused: its agent is gone or switched off, or its model is."""
    if seat.agent is None:
        raise AgentDisabled(f"The agent of {seat.name} is gone.")
    # Only who is told to think does so, in tokens of its own: a ballot's, or a short speech's, would be used up by it.
    thinks = bool(seat.agent.think) and not (ask.format or ask.top_logprobs)
    extra = {"num_predict": ask.options["num_predict"] + THINKING_TOKENS} if thinks else {}
    return runs.prepared(
        purpose=purpose,
        subject=subject.pk,
        topic=topic,
        owner=debate.owner,
        agent=seat.agent,
        hosts=[host for host in _enabled_hosts(debate) if seat.agent.host_id in (None, host.pk)],
        model=seat.model,
        messages=ask.messages,
        format=ask.format,
        options=ask.options | extra,
        top_logprobs=ask.top_logprobs,
        think=thinks,
        priority=Run.Priority.DEBATE,
        is_limited=False,
    )


@read_once
def _enabled_hosts(_: Debate) -> list[Host]:
    return list(Host.objects.enabled())


def settle(run: Run) -> None:
    """A speech's run has ended; called within the transaction that ends it."""
    waiting = Speech.objects.filter(pk=run.subject, run=run, status=Speech.Status.WAITING)
    speech = waiting.select_related("round__debate", "seat").order_by().first()
    if speech is None:  # the debate was stopped or deleted
        return
    ended = _outcome(speech, run)
    if ended is None:
        return
    waiting.update(**ended, ended_at=Now())
    for name, value in ended.items():
        setattr(speech, name, value)
    say(speech.round.debate.topic, over(speech))
    tasks.ring_at_barrier(speech.round)


def _outcome(speech: Speech, run: Run) -> dict[str, Any] | None:
    """The fields with which it ends; None when it was asked to repair what could not be read."""
    text = run.text.strip()
    if run.status != Run.Status.DONE:
        return {"status": Speech.Status.FAILED, "text": text, "error": run.error or "It was stopped."}
    if not text:
        return {"status": Speech.Status.FAILED, "error": "The model said nothing."}
    if speech.kind not in READERS:
        return {"status": Speech.Status.DONE, "text": text}
    try:
        return {"status": Speech.Status.DONE, "text": text, "data": READERS[speech.kind](speech, text)}
    except structured.Unreadable as problem:
        return _repair(speech, text=text, problem=str(problem))


def _repair(speech: Speech, *, text: str, problem: str) -> dict[str, Any] | None:
    if speech.repairs < MOST_REPAIRS:
        speech.repairs += 1
        _ask(speech, prompts.repair_json(speech, text=text, problem=problem))
        if speech.status == Speech.Status.WAITING and speech.run:
            runs.put_in_line([speech.run])
        speech.save(update_fields=["run", "status", "error", "repairs"])
        if speech.status == Speech.Status.WAITING:
            return None
    return {"status": Speech.Status.FAILED, "text": text, "error": f"Its JSON could not be read: {problem}"}


def begun(speech: Speech) -> DebateSpeech:
    event: DebateSpeech = {
        "type": "debate.speech",
        "speech": str(speech.pk),
        "round": speech.round.number,
        "seat": str(speech.seat_id),
        "kind": speech.kind,
        "status": speech.status,
        "run": str(speech.run_id) if speech.run_id else None,
    }
    if speech.error:
        event["error"] = speech.error
    return event


def over(speech: Speech) -> DebateSpeech:
    """Without its text: that has streamed, and who missed it attaches again."""
    return begun(speech)
