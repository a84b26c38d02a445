"""Pulling models: a host downloads what an admin asked for, and everybody who looks sees how far it is.

A pull is a row; a runner carries it out on its loop, since it may take hours. If its worker dies, another takes it up,
and Ollama goes on where it was.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, Literal, TypedDict
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from redis.exceptions import RedisError

from agents import hosts
from agents.breaker import Breakers
from agents.models import Host, Pull, Worker
from agents.ollama import Client, OllamaError, StreamCut
from lobby import correlation
from lobby.database import in_database, in_database_patiently
from lobby.live.connections import sync_redis
from lobby.live.streams import publish
from lobby.live.topics import Snapshot, Topic

log = structlog.get_logger()

CHANNEL = "lobby:pulls"  # to all runners: there is a pull, or the id of one that is to be stopped
DOORBELL = "ring"
LOOK_SECONDS = 5.0  # for a doorbell that was lost
TELL_SECONDS = 0.4
SUCCESS = "success"  # the last step of a pull that is complete
SHOWN = 5  # pulls on a host's page
UNFINISHED = Q(status__in=[Pull.Status.WAITING, Pull.Status.PULLING])
LONGEST_NAME = 120
# [registry/][namespace/]name[:tag], as Ollama writes it
PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
NAME = re.compile(rf"({PART}(:[0-9]+)?/)?({PART}/)?{PART}(:{PART})?")


class HostPull(TypedDict):
    """How far a pull is."""

    type: Literal["host.pull"]
    pull: str
    model: str
    status: str
    step: str
    completed: int  # bytes
    total: int
    percent: int | None  # None: not known
    error: str
    request_id: str  # what the logs know it by
    stopping: bool


class NotPulled(Exception):
    """A pull that is refused, in words for the admin."""


def ask(host: Host, model: str, *, by: Any) -> Pull:
    """Have a host download a model; one that is under way already is returned. Raises NotPulled."""
    model = model.strip()
    if not NAME.fullmatch(model) or len(model) > LONGEST_NAME:
        raise NotPulled("That is no name of a model. Names look like llama3.2, qwen3:8b or namespace/model:tag.")
    if host.is_embedded:
        raise NotPulled("The demonstration server has one model and cannot pull others: add an Ollama host.")
    try:
        with transaction.atomic():
            pull = Pull.objects.create(host=host, model=model, asked_by=by, request_id=correlation.request_id())
    except IntegrityError:
        return Pull.objects.get(UNFINISHED, host=host, model=model)
    transaction.on_commit(lambda: _announce(pull, DOORBELL))
    return pull


def cancel(pull: Pull) -> bool:
    """Stop a pull; False if it was over. What has come stays with the host, which would go on there."""
    waiting = Pull.objects.filter(pk=pull.pk, status=Pull.Status.WAITING)
    if not waiting.update(status=Pull.Status.CANCELLED, cancel_requested_at=Now(), ended_at=Now()):
        running = Pull.objects.filter(pk=pull.pk, status=Pull.Status.PULLING)
        if not running.update(cancel_requested_at=Now()):
            return False
    pull.refresh_from_db()
    transaction.on_commit(lambda: _announce(pull, str(pull.pk)))
    return True


async def unload(host: Host, model: str) -> None:
    """Have a host forget a model it holds in memory. Raises OllamaError."""
    async with Client(host.base_url) as client:
        await client.unload(model)


def recent(host: Any) -> list[Pull]:
    """The last few of a host, the newest first."""
    return list(Pull.objects.filter(host=host)[:SHOWN])


def may_attach(user: Any, ident: str) -> bool:
    return bool(user.is_active and user.is_staff and user.has_perm("agents.view_host") and not ident.isdecimal())


def snapshot(ident: str) -> Snapshot:
    return {"type": "snapshot", "pulls": [told(pull) for pull in recent(ident)]}


HOST = Topic(may_attach=may_attach, snapshot=snapshot)


def told(pull: Pull) -> HostPull:
    return {
        "type": "host.pull",
        "pull": str(pull.pk),
        "model": pull.model,
        "status": pull.status,
        "step": pull.step,
        "completed": pull.completed,
        "total": pull.total,
        "percent": 100 * pull.completed // pull.total if pull.total else None,
        "error": pull.error,
        "request_id": pull.request_id,
        "stopping": pull.cancel_requested_at is not None and not pull.is_over,
    }


def say(pull: Pull) -> None:
    try:
        publish(f"host:{pull.host_id}", told(pull))
    except RedisError as error:  # the row is right: a page that attaches again sees it
        log.warning("pull_not_heard", pull=str(pull.pk), error=str(error))


def _announce(pull: Pull, message: str) -> None:
    say(pull)
    with suppress(RedisError):  # runners look by themselves
        sync_redis().publish(CHANNEL, message)


def claim(*, worker: UUID) -> list[Pull]:
    """Take up what waits, or was left by a worker that is gone."""
    with transaction.atomic():
        free = Pull.objects.filter(UNFINISHED).exclude(worker__in=Worker.objects.values("pk"))
        found = list(free.select_for_update(skip_locked=True, of=("self",)).select_related("host"))
        Pull.objects.filter(pk__in=[pull.pk for pull in found]).update(status=Pull.Status.PULLING, worker=worker)
    for pull in found:
        pull.status, pull.worker = Pull.Status.PULLING, worker
    return found


def save(pull: Pull, **fields: Any) -> bool:
    """Write how far it is and say so; False where it is to be stopped, or is no longer ours."""
    if not _ours(pull).filter(cancel_requested_at=None).update(**fields):
        return False
    for name, value in fields.items():
        setattr(pull, name, value)
    say(pull)
    return True


def end(pull: Pull, status: str, *, error: str = "") -> None:
    """Does nothing where the pull is no longer ours."""
    if _ours(pull).update(status=status, error=error, ended_at=Now()):
        pull.refresh_from_db()
        say(pull)


def end_if_stopped(pull: Pull) -> None:
    if Pull.objects.filter(pk=pull.pk).exclude(cancel_requested_at=None).exists():
        end(pull, Pull.Status.CANCELLED)


def _ours(pull: Pull) -> Any:
    """The fence: a worker that was declared dead writes nothing any more."""
    return Pull.objects.filter(pk=pull.pk, worker=pull.worker, status=Pull.Status.PULLING)


class Parts:
    """The sum over the parts of a model, each of which the host tells for itself."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[int, int]] = {}

    def take(self, step: Any) -> dict[str, Any]:
        """The fields that a step of `ollama.AsyncClient.pull` changes."""
        if step.digest and step.total:
            self._parts[step.digest] = (step.completed or 0, step.total)
        completed = sum(part[0] for part in self._parts.values())
        total = sum(part[1] for part in self._parts.values())
        return {"step": (step.status or "")[:200], "completed": completed, "total": total}


class _Stopped(Exception):
    """The pull is to end, or is somebody else's now."""


class Puller:
    """The pulls of one worker process, on its runner's loop."""

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._rung = asyncio.Event()

    async def work(self, worker: Callable[[], UUID | None]) -> None:
        """For ever; `worker` tells who this process is, None while it is nobody."""
        while True:
            if (me := worker()) is not None:
                for pull in await in_database(claim, worker=me):
                    self._tasks[pull.pk] = asyncio.create_task(self._carry_out(pull))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._rung.wait()
            self._rung.clear()

    def hear(self, message: str) -> None:
        if message == DOORBELL:
            self._rung.set()
        elif task := self._tasks.get(UUID(message)):
            task.cancel()

    async def drop(self) -> None:
        """Close all connections and write nothing: another worker goes on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, pull: Pull) -> None:
        correlation.follow(pull.request_id)
        try:
            await self._stream(pull)
            await hosts.probe(pull.host, breakers=self._breakers)
            await in_database_patiently(end, pull, Pull.Status.DONE)
        except (asyncio.CancelledError, _Stopped):
            # To be stopped may be read from the row first and heard then: hearing it must not undo the end.
            await asyncio.shield(in_database(end_if_stopped, pull))
        except OllamaError as error:
            await in_database_patiently(end, pull, Pull.Status.FAILED, error=error.message)
        except Exception:  # the edge of a pull: it must not stay "under way"
            log.exception("pull_failed", pull=str(pull.pk))
            await in_database_patiently(end, pull, Pull.Status.FAILED, error="Something went wrong on our side.")
        finally:
            self._tasks.pop(pull.pk, None)

    async def _stream(self, pull: Pull) -> None:
        parts, found, told_at = Parts(), dict[str, Any](), 0.0
        async with Client(pull.host.base_url) as client, aclosing(client.pull(pull.model)) as steps:
            async for step in steps:
                before, found = found.get("step"), parts.take(step)
                if found["step"] == before and time.monotonic() - told_at < TELL_SECONDS:
                    continue
                told_at = time.monotonic()
                if not await in_database(save, pull, **found):
                    raise _Stopped
        if found.get("step") != SUCCESS:
            raise StreamCut("The host broke off. Pull again: it goes on where it was.")
        await in_database(save, pull, **found)
