"""What its owner may do with a debate that goes on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import transaction

from agents.models import Agent
from debates import rounds, steps, tasks
from debates.errors import BadDebate, NotNow
from debates.events import say
from debates.launching import name_options
from debates.models import Claim, Debate, Injection, Round, Speech
from debates.protocols import PROTOCOLS

LONGEST_INJECTION = 4_000
MOST_INJECTIONS = 20
MOST_CHALLENGES = 3
Status = Debate.Status


@contextmanager
def _locked(debate: Debate, *allowed: str) -> Iterator[Debate]:
    with transaction.atomic():
        locked = Debate.objects.select_for_update(of=("self",)).select_related("owner").get(pk=debate.pk)
        if locked.status not in allowed:
            raise NotNow(f"The debate is {locked.get_status_display()}.")
        yield locked


def pause(debate: Debate) -> None:
    """At the next barrier: what is being said is said to its end. Raises NotNow."""
    with _locked(debate, Status.RUNNING) as locked:
        locked.pause_requested = True
        locked.save(update_fields=["pause_requested"])
        rounds.tell_state(locked)
        tasks.ring(locked.pk)


def resume(debate: Debate) -> None:
    """Go on; of a debate that is about to pause, do not. Raises NotNow."""
    with _locked(debate, Status.RUNNING, Status.PAUSED) as locked:
        locked.status, locked.pause_requested, locked.pause_reason = Status.RUNNING, False, ""
        locked.save(update_fields=["status", "pause_requested", "pause_reason"])
        rounds.tell_state(locked)
        tasks.ring(locked.pk)


def stop(debate: Debate) -> None:
    """End it now. What was said stays, and what the last whole round holds is the result. Raises NotNow."""
    with _locked(debate, Status.RUNNING, Status.PAUSED) as locked:
        rounds.end_now(locked, reason="user")


def inject(debate: Debate, *, kind: str, text: str) -> Injection:
    """Put evidence or a question before all seats, from the next speech on. Raises BadDebate, NotNow."""
    clean = text.strip()
    if not clean or len(clean) > LONGEST_INJECTION:
        raise BadDebate(f"Type what all seats are to read, {LONGEST_INJECTION:,} characters at most.")
    if kind not in Injection.Kind.values:
        raise BadDebate(f"It is one of {', '.join(Injection.Kind.values)}.")
    with _locked(debate, Status.RUNNING, Status.PAUSED) as locked:
        if locked.conclusion:
            raise NotNow("The last round is over; the verdict is being written.")
        if locked.injections.count() >= MOST_INJECTIONS:
            raise NotNow(f"{MOST_INJECTIONS} is the limit; the panel would read nothing else.")
        injection = Injection.objects.create(debate=locked, kind=kind, text=clean)
        say(locked.topic, {"type": "debate.injection", "kind": kind, "text": clean})
    return injection


def challenge_again(debate: Debate) -> None:
    """One more challenge after the round under way; a debate that has ended goes on for it. Raises NotNow."""
    with _locked(debate, *Status.values) as locked:
        if PROTOCOLS[locked.protocol].is_scripted:
            raise NotNow(f"The rounds of {PROTOCOLS[locked.protocol].name} are fixed.")
        if steps.seat_of(locked, Agent.Role.DEVILS_ADVOCATE) is None:
            raise NotNow("Nobody on this panel is the Devil's Advocate. Fork the debate with one.")
        held = locked.rounds.filter(kind=Round.Kind.CHALLENGE).count()
        if held + locked.challenges_asked >= MOST_CHALLENGES:
            raise NotNow(f"{MOST_CHALLENGES} challenges are the limit.")
        if locked.conclusion or (locked.challenges_asked and locked.status != Status.ENDED):
            raise NotNow("One is asked for already." if locked.challenges_asked else "The verdict is being written.")
        if locked.status == Status.ENDED:
            _reopen(locked)
        locked.challenges_asked = 1
        locked.save(update_fields=["challenges_asked"])
        tasks.ring(locked.pk)


def _reopen(debate: Debate) -> None:
    last = debate.rounds.last()
    if last is None or last.step != "scored" or not last.metrics:
        raise NotNow("It ended before a round was whole. Fork it instead.")
    if debate.settled_at:
        raise NotNow("It is settled. Fork it instead.")
    last.speeches.filter(kind=Speech.Kind.VERDICT).delete()
    last.ballots.filter(is_judgement=True).delete()  # the judge is asked again at the new end
    debate.status, debate.stop_reason, debate.summary = Status.RUNNING, "", ""
    debate.verdict = debate.ended_at = None
    debate.save(update_fields=["status", "stop_reason", "summary", "verdict", "ended_at"])
    rounds.tell_state(debate)


def set_options(debate: Debate, texts: Sequence[str]) -> None:
    """Before round 1 of an open question. Ballots of round 0 are cast anew. Raises BadDebate, NotNow."""
    named = name_options(texts)
    with _locked(debate, Status.PAUSED) as locked:
        first = locked.rounds.last()
        if not locked.is_open or first is None or first.number > 0 or locked.conclusion:
            raise NotNow(
                "The options are frozen: they can be edited for an open question, before round 1, while paused."
            )
        if first.step == "speech":
            raise NotNow("The options are asked for once all have spoken.")
        Claim.objects.filter(round=first).delete()
        first.ballots.all().delete()
        Round.objects.filter(pk=first.pk).update(step="options", metrics=None, scored_at=None)
        steps.set_options(locked, [option["text"] for option in named])
