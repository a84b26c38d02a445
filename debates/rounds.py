"""A debate's course: a state machine in rows, moved on by whoever finds the barrier down.

`advance` locks the debate, so that of all who come at once one takes the next step and the others find it taken. A
step and what follows from it are one transaction: a process that dies anywhere in it has done nothing, and the next
to come (the sweep, 5 s later at the latest) does it again. Handlers of runs never lock the debate: they write their
own row.
"""

from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import runs
from agents.models import Agent, Run
from debates import steps, verdicts, voting
from debates.consensus import Evaluation, RoundVotes, evaluate
from debates.costs import runs_of, spent
from debates.events import say
from debates.models import Ballot, Debate, Probe, Round, Speech
from debates.prompts import one_reading
from debates.protocols import PROTOCOLS, STEPS_OF, Protocol, steps_of
from debates.votes import rounds_of, settings_of
from lobby import correlation

UNFINISHED = (Run.Status.QUEUED, Run.Status.RUNNING)
# Reasons after which nothing more is asked of anybody
AT_ONCE = ("user", "quorum_lost")
UNCHALLENGED = (*AT_ONCE, "budget")


def advance(debate_id: UUID) -> None:
    """Take every step that can be taken now, on behalf of whoever asked for the debate, even if nobody does now."""
    asked_by = correlation.request_id()
    try:
        _advance(debate_id)
    finally:
        correlation.follow(asked_by)


def _advance(debate_id: UUID) -> None:
    with transaction.atomic():
        rows = Debate.objects.select_for_update(of=("self",)).filter(pk=debate_id, status=Debate.Status.RUNNING)
        debate = rows.select_related("owner").prefetch_related("seats__agent").first()
        while debate and debate.status == Debate.Status.RUNNING and _step_on(debate):
            pass


def _step_on(debate: Debate) -> bool:
    """One step; False when there is nothing to do but wait."""
    round = debate.rounds.order_by("number").last()
    if round is None:
        return _begin_round(debate, number=0, kind=PROTOCOLS[debate.protocol].first)
    round.debate = debate
    if steps.is_waiting(round):
        return False
    if not correlation.request_id():
        correlation.follow(_asked_by(debate))
    reason = steps.STEPS[debate.conclusion or round.step].end(round)
    if reason or debate.pause_requested:
        return _pause(debate, reason)
    if debate.conclusion:
        return _conclude_on(debate, round)
    if round.step != "scored":
        return _begin_step(round, _after(round))
    return _decide_on(debate, round)


def _asked_by(debate: Debate) -> str:
    """The last request on whose behalf it went on."""
    known = runs_of(debate).exclude(request_id="").order_by("-queued_at")
    return known.values_list("request_id", flat=True).first() or ""


def _after(round: Round) -> str:
    order = steps_of(round)
    return order[order.index(round.step) + 1]


def _begin_round(debate: Debate, *, number: int, kind: str) -> bool:
    round = Round(debate=debate, number=number, kind=kind, step=STEPS_OF[kind][0])
    round.save(force_insert=True)
    return _begin(round)


def _begin_step(round: Round, step: str) -> bool:
    if not Round.objects.filter(pk=round.pk, step=round.step).update(step=step):
        return False
    round.step = step
    return _begin(round)


def _begin(round: Round) -> bool:
    step = round.step
    say(round.debate.topic, {"type": "debate.round", "round": round.number, "kind": round.kind, "step": step})
    if step == "scored":
        _score(round)
    else:
        with one_reading():
            steps.STEPS[step].begin(round)
    return True


def _score(round: Round) -> None:
    """Past the barrier of the ballots: show them, and keep what follows from them."""
    held = list(round.ballots.all())
    cast = [ballot for ballot in held if not ballot.is_judgement]
    if held:
        voting.reveal(round, cast)
    # Where a judge decides between two sides there are no figures before the end.
    has_figures = bool(cast) or is_last_of_script(round)
    round.metrics = evaluation_of(round.debate).as_dict() if has_figures else None
    round.scored_at = timezone.now()
    Round.objects.filter(pk=round.pk).update(metrics=round.metrics, scored_at=Now())
    say(round.debate.topic, {"type": "debate.score", "round": round.number})
    _list(round.debate, "changed")


def is_last_of_script(round: Round) -> bool:
    script = PROTOCOLS[round.debate.protocol].script
    return bool(script) and round.number == len(script) - 1


def evaluation_of(debate: Debate, *, stopped: bool = False) -> Evaluation:
    """Of the rounds whose barriers are passed."""
    held = rounds_of(debate) or [RoundVotes(number=0, votes=(), is_exchange=False)]
    cost = spent(debate)
    settings = settings_of(
        debate,
        rounds=debate.max_rounds - 1 + sum(round.is_challenge for round in held),
        challenges=challenges_of(debate),
        stopped=stopped,
        spent=cost.tokens >= debate.max_tokens or cost.seconds >= debate.max_minutes * 60,
    )
    return evaluate(held, settings)


def challenges_of(debate: Debate) -> int:
    """How many the protocol holds by itself: none without somebody to argue against the leader."""
    has_advocate = steps.seat_of(debate, Agent.Role.DEVILS_ADVOCATE) is not None
    return PROTOCOLS[debate.protocol].challenges if has_advocate else 0


def _decide_on(debate: Debate, round: Round) -> bool:
    """After a scored round: another, or the end."""
    protocol = PROTOCOLS[debate.protocol]
    metrics = round.metrics or {}
    reason = metrics.get("stop_reason") or ""
    if reason not in UNCHALLENGED and _is_challenge_next(debate, protocol, metrics=metrics):
        return _begin_round(debate, number=round.number + 1, kind=Round.Kind.CHALLENGE)
    if protocol.is_scripted and reason not in UNCHALLENGED:
        if round.number + 1 < len(protocol.script):
            return _begin_round(debate, number=round.number + 1, kind=protocol.script[round.number + 1])
        return _conclude(debate, round, reason="rounds")
    if reason:
        return _conclude(debate, round, reason=reason)
    return _begin_round(debate, number=round.number + 1, kind=protocol.then)


def _is_challenge_next(debate: Debate, protocol: Protocol, *, metrics: dict[str, object]) -> bool:
    if debate.challenges_asked:
        Debate.objects.filter(pk=debate.pk).update(challenges_asked=0)
        debate.challenges_asked = 0
        return True
    if protocol.is_challenged_at_once:
        return not debate.rounds.filter(kind=Round.Kind.CHALLENGE).exists()
    return bool(metrics.get("is_challenge_due"))


def _conclude(debate: Debate, round: Round, *, reason: str) -> bool:
    """A reason to stop was found: judge, verdict, the Moderator's account of it."""
    needs_judge = debate.rule == "judge" and not round.ballots.filter(is_judgement=True).exists()
    debate.stop_reason = reason
    Debate.objects.filter(pk=debate.pk).update(stop_reason=reason)
    if reason in AT_ONCE:
        return _end(debate)
    return _begin_conclusion(debate, round, "judge" if needs_judge else "verdict")


def _begin_conclusion(debate: Debate, round: Round, step: str) -> bool:
    debate.conclusion = step
    fields: dict[str, object] = {"conclusion": step}
    if step == "verdict":
        fields["verdict"] = debate.verdict = dict(verdicts.conclude(debate))
    Debate.objects.filter(pk=debate.pk).update(**fields)
    with one_reading():
        steps.STEPS[step].begin(round)
    say(debate.topic, {"type": "debate.verdict"})
    return True


def _conclude_on(debate: Debate, round: Round) -> bool:
    if debate.conclusion == "judge":
        evaluation = evaluation_of(debate)
        Round.objects.filter(pk=round.pk).update(metrics=evaluation.as_dict())
        return _begin_conclusion(debate, round, "verdict")
    account = round.speeches.filter(kind=Speech.Kind.VERDICT).first()
    debate.summary = account.text if account else ""
    return _end(debate)


def _end(debate: Debate) -> bool:
    """The verdict is made from the rows as they are; what is still being said is cut off."""
    debate.status, debate.ended_at, debate.conclusion = Debate.Status.ENDED, timezone.now(), ""
    debate.verdict = dict(verdicts.conclude(debate)) if debate.rounds.exclude(metrics=None).exists() else None
    debate.save(update_fields=["status", "ended_at", "conclusion", "verdict", "summary", "stop_reason", "pause_reason"])
    say(debate.topic, {"type": "debate.verdict"})
    tell_state(debate)
    _list(debate, "ended")
    return False


def _pause(debate: Debate, reason: str) -> bool:
    debate.status, debate.pause_requested, debate.pause_reason = Debate.Status.PAUSED, False, reason
    debate.save(update_fields=["status", "pause_requested", "pause_reason"])
    tell_state(debate)
    _list(debate, "changed")
    return False


def end_now(debate: Debate, *, reason: str) -> None:
    """Cut everything off; its text stays. Called with the debate locked."""
    unfinished = list(runs_of(debate).filter(status__in=UNFINISHED))
    in_rounds = {"round__debate": debate}
    over = {"status": Speech.Status.FAILED, "error": "The debate was stopped.", "ended_at": Now()}
    Speech.objects.filter(status=Speech.Status.WAITING, **in_rounds).update(**over)
    waiting = Ballot.objects.filter(status=Ballot.Status.WAITING, **in_rounds)
    waiting.update(status=Ballot.Status.ABSTAINED, abstention="The debate was stopped.")
    Probe.objects.filter(ballot__round__debate=debate).update(is_over=True)
    debate.stop_reason, debate.pause_reason = reason, ""
    _end(debate)
    for run in unfinished:
        transaction.on_commit(partial(runs.cancel, run))  # not before: a run that ends locks its own row first


def tell_state(debate: Debate) -> None:
    say(debate.topic, state_of(debate))


def state_of(debate: Debate) -> dict[str, object]:
    return {
        "type": "debate.state",
        "status": debate.status,
        "pausing": debate.pause_requested,
        "pause_reason": debate.pause_reason,
        "stop_reason": debate.stop_reason,
    }


def _list(debate: Debate, change: str) -> None:
    say(f"user:{debate.owner_id}", {"type": "debate.listed", "debate": str(debate.pk), "change": change})


def sweep() -> None:
    """What a lost doorbell, or a process that died before it rang, left standing; and what ran out of time."""
    for debate in Debate.objects.running():
        if spent(debate).seconds > debate.max_minutes * 60:
            _run_out(debate.pk)
        else:
            advance(debate.pk)


def _run_out(debate_id: UUID) -> None:
    with transaction.atomic():
        debate = Debate.objects.select_for_update().filter(pk=debate_id, status=Debate.Status.RUNNING).first()
        if debate is not None:
            end_now(debate, reason="budget")
