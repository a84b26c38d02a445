"""The life of a run: every change of its state is one conditional UPDATE, so that each happens once.

queued → running → done | failed | cancelled | interrupted
  ↑_________|        (its worker died, was stopped, or another host is to try)
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, ParamSpec
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from redis.exceptions import RedisError

from agents import limits
from agents.errors import AgentDisabled
from agents.events import RunEnded
from agents.hosts import resolve_model
from agents.logprobs import likely
from agents.models import Agent, Host, Run
from agents.purposes import PURPOSES
from lobby import correlation, traces
from lobby.accounts import tokens
from lobby.live.connections import sync_redis
from lobby.live.streams import publish

log = structlog.get_logger()
P = ParamSpec("P")

MAX_ATTEMPTS = 3
CHANNEL = "lobby:runs"  # to all runners: the doorbell, or the id of a run that is to be cancelled
DOORBELL = "ring"
CHARACTERS_PER_TOKEN = 4


def prepared(  # noqa: PLR0913  (the columns of the row that the caller decides on)
    *,
    purpose: str,
    subject: UUID,
    topic: str,
    owner: Any,
    agent: Agent,
    messages: list[dict[str, Any]],
    options: dict[str, Any] | None = None,
    format: Any = None,
    top_logprobs: int = 0,
    priority: int = Run.Priority.CHAT,
    hosts: list[Host] | None = None,
    model: str = "",
    think: bool | None = None,
    is_limited: bool = True,
) -> Run:
    """A run that is still to be put in line. `options` go on top of the agent's own.

    `model` and `think` stand in place of the agent's. Who has the agent's hosts already gives them; who keeps a budget
    of its own says that the run is not limited. Raises AgentDisabled, ModelUnavailable, TooManyRuns, TokensUsedUp.
    """
    if not agent.is_active:
        raise AgentDisabled(f"{agent.name} is switched off. Choose another agent.")
    model = resolve_model(agent, hosts=hosts, wanted=model)
    if is_limited:
        limits.check(owner, is_reply=priority == Run.Priority.CHAT)
    return Run(
        purpose=purpose,
        subject=subject,
        topic=topic,
        owner=owner,
        agent=agent,
        model=model,
        wanted_host_id=agent.host_id,
        messages=messages,
        options={**agent.options, **(options or {})},
        think=agent.think if think is None else think,
        format=format,
        top_logprobs=top_logprobs,
        priority=priority,
        request_id=correlation.request_id(),
        request_span=traces.span_id(),
    )


def _at_once(prepare: Callable[P, Run]) -> Callable[P, Run]:
    def prepare_and_put_in_line(*args: P.args, **kwargs: P.kwargs) -> Run:
        run = prepare(*args, **kwargs)
        put_in_line([run])
        return run

    return prepare_and_put_in_line


def put_in_line(prepared: Sequence[Run]) -> None:
    """In this order, and in one statement; workers are woken on commit."""
    for place, run in enumerate(prepared[1:], 1):
        run.queued_at = Now() + timedelta(microseconds=place)  # the moment of the statement is the same for all of them
    Run.objects.bulk_create(prepared)
    if prepared:
        transaction.on_commit(ring)


enqueue = _at_once(prepared)
"""One run, prepared and put in line. Takes and raises what `prepared` does."""


def ring() -> None:
    """Wake the workers. A lost doorbell does no harm: they look by themselves with every heartbeat."""
    _tell_workers(DOORBELL)


def cancel(run: Run) -> bool:
    """Stop a run in whatever state it is; False if it was over. A running one ends as soon as its worker hears it."""
    with transaction.atomic():
        waiting = Run.objects.filter(pk=run.pk, status=Run.Status.QUEUED)
        if waiting.update(status=Run.Status.CANCELLED, cancel_requested_at=Now(), finished_at=Now()):
            _hand_over(run.pk)
            return True
    asked = Run.objects.filter(pk=run.pk, status=Run.Status.RUNNING).update(
        cancel_requested_at=Coalesce(F("cancel_requested_at"), Now())
    )
    if not asked:
        return False
    _tell_workers(str(run.pk))  # a poke only: the worker also reads `cancel_requested_at` with every heartbeat
    return True


def repeat(run: Run) -> bool:
    """Put a failed run back into the line, as it was asked; False if it is no failed run (any more).

    Its attempts count on, so that browsers and workers tell the new one from the old ones.
    """
    failed = Run.objects.filter(pk=run.pk, status=Run.Status.FAILED)
    waits = failed.update(
        status=Run.Status.QUEUED,
        worker=None,
        queued_at=Now(),
        started_at=None,
        first_token_at=None,
        finished_at=None,
        avoided_hosts=[],
        error_kind="",
        error="",
        error_detail={},
    )
    if waits:
        transaction.on_commit(ring)
    return bool(waits)


def _tell_workers(message: str) -> None:
    try:
        sync_redis().publish(CHANNEL, message)
    except RedisError as error:
        log.warning("workers_not_told", message=message, error=str(error))


def mine(run: Run) -> Q:
    """The fence: this attempt, on this worker, still running. Whoever lost it writes nothing any more."""
    return Q(pk=run.pk, worker=run.worker, attempt=run.attempt, status=Run.Status.RUNNING)


SAVE = """
UPDATE agents_run SET text = %s, thinking = %s, cursor = %s,
       first_token_at = COALESCE(first_token_at, now() - make_interval(secs => %s))
 WHERE id = %s AND worker = %s AND attempt = %s AND status = 'running'
"""


# For what is done again if Postgres crashes within the next second: its commit need not wait for the disk.
UNHURRIED = "SET LOCAL synchronous_commit TO off"

Progress = tuple[str, str, str, float | None, UUID, UUID | None, int]


def save_progress(rows: Iterable[Progress]) -> None:
    """Snapshots of many runs in one round trip: text, thinking, cursor, seconds since the first token, and the fence:
    run, worker, attempt."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(UNHURRIED)
        cursor.executemany(SAVE, list(rows))


def finish(run: Run, *, status: str, **result: Any) -> bool:
    """End the run and tell who asked for it, both or neither. False if it was no longer ours to end."""
    logprobs = result.get("logprobs")
    if logprobs:
        result["logprobs"] = likely(logprobs)
    with transaction.atomic():
        if not Run.objects.filter(mine(run)).update(status=status, finished_at=Now(), **result):
            return False
        _hand_over(run.pk, logprobs=logprobs)
        tokens.spend(run.owner_id, _tokens(run, result))
    return True


def _tokens(run: Run, result: dict[str, Any]) -> int:
    """What the host counted; it tells nothing of a run that was cut off, so that is estimated from its text."""
    if result.get("prompt_tokens") is not None:
        return int(result["prompt_tokens"] + (result.get("output_tokens") or 0))
    written = len(result.get("text") or "") + len(result.get("thinking") or "")
    if not written:
        return 0
    asked = sum(len(str(message.get("content") or "")) for message in run.messages)
    return (asked + written) // CHARACTERS_PER_TOKEN


def give_up(run: Run, **result: Any) -> None:
    """End a run after a fault of our own. Where even telling who asked for it fails, it ends untold: a run that stayed
    "running" would be begun again for ever."""
    try:
        finish(run, status=Run.Status.FAILED, **result)
    except Exception:  # a handler's fault, whatever it is
        log.exception("end_not_handed_over", run=str(run.pk))
        Run.objects.filter(mine(run)).update(status=Run.Status.FAILED, finished_at=Now(), **result)


# Large, and seldom asked for by who hears of an end: a chat's whole prompt, twenty alternatives for each token.
LARGE = ("messages", "format", "logprobs")


def _hand_over(run_id: UUID, *, logprobs: Any = None) -> None:
    """`logprobs`: what was just written, so that it need not be read again."""
    run = Run.objects.defer(*LARGE).get(pk=run_id)
    run.logprobs = logprobs
    if handle := PURPOSES.get(run.purpose):
        handle(run)
    transaction.on_commit(lambda: _tell(run))


def _tell(run: Run) -> None:
    announce_end(run)
    if run.error_kind:  # who reports it names this id
        known = {"kind": run.error_kind, "model": run.model, "request_id": run.request_id}
        log.warning("run_ended_in_error", run=str(run.pk), status=run.status, **known)


def announce_end(run: Run) -> None:
    """Say `run.ended`. Saying it twice does no harm."""
    if not run.topic:
        return
    try:
        publish(run.topic, ended(run))
    except RedisError as error:  # the rows are right; whoever attaches again sees them
        log.warning("end_not_heard", run=str(run.pk), error=str(error))


def ended(run: Run) -> RunEnded:
    event: RunEnded = {
        "type": "run.ended",
        "run": str(run.pk),
        "attempt": run.attempt,
        "status": run.status,
        "stats": stats(run),
    }
    if run.error_kind:
        event |= {"error_kind": run.error_kind, "error": run.error, "request_id": run.request_id}
    return event


def stats(run: Run) -> dict[str, float | int | str | None]:
    return {
        "model": run.model,
        "first_token_ms": run.first_token_ms,
        "prompt_tokens": run.prompt_tokens,
        "output_tokens": run.output_tokens,
        "tokens_per_second": run.tokens_per_second,
        "context_length": run.context_length,
        "done_reason": run.done_reason,
    }


def pass_on(run: Run, *, failed_host: Host) -> bool:
    """Back into the line for another host that has the model; False if there is none, or it was tried often enough."""
    avoided = [*run.avoided_hosts, str(failed_host.pk)]
    others = Host.objects.enabled().having(run.model).exclude(pk__in=avoided)
    if run.wanted_host_id or run.attempt >= MAX_ATTEMPTS or not others.exists():
        return False
    moved = Run.objects.filter(mine(run)).update(status=Run.Status.QUEUED, worker=None, avoided_hosts=avoided)
    return bool(moved)


def hand_back(*, worker: UUID) -> int:
    """A worker stops in good order: its runs start over elsewhere. How many there were."""
    return Run.objects.running().filter(worker=worker).update(status=Run.Status.QUEUED, worker=None)


def requeue_abandoned(*, live_workers: Iterable[UUID]) -> list[Run]:
    """Runs whose worker is gone go back into the line, or fail at the third time; all of them are returned."""
    gone = Run.objects.running().exclude(worker__in=list(live_workers))
    requeued = []
    for run in gone:
        if run.cancel_requested_at:
            finish(run, status=Run.Status.CANCELLED)
        elif run.attempt >= MAX_ATTEMPTS:
            finish(run, status=_broken(run), error_kind="worker_lost", error=WORKER_LOST)
        elif Run.objects.filter(mine(run)).update(status=Run.Status.QUEUED, worker=None):
            requeued.append(run)
    return requeued


WORKER_LOST = f"The process that wrote this reply died {MAX_ATTEMPTS} times. Try again; if it stays so, tell an admin."


def _broken(run: Run) -> str:
    return Run.Status.INTERRUPTED if run.text else Run.Status.FAILED


def fail_waiting(run: Run, *, kind: str, message: str) -> bool:
    """End a run that waits in line and that no host will take."""
    with transaction.atomic():
        waiting = Run.objects.filter(pk=run.pk, status=Run.Status.QUEUED)
        if not waiting.update(status=Run.Status.FAILED, finished_at=Now(), error_kind=kind, error=message):
            return False
        _hand_over(run.pk)
    return True


def announce_recent_ends(*, seconds: int = 60) -> None:
    """A worker that died between writing an end and saying it: say it once more."""
    for run in Run.objects.filter(finished_at__gt=Now() - timedelta(seconds=seconds)).exclude(topic=""):
        announce_end(run)
