"""The line of runs, kept in Postgres, and the bulkhead: no host ever has more runs than slots."""

from itertools import count
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When, Window
from django.db.models.functions import Coalesce, Now, RowNumber
from redis.exceptions import RedisError

from agents import runs
from agents.breaker import Gates
from agents.events import RunQueued
from agents.hosts import capable
from agents.models import Host, Run, Worker
from lobby.live.connections import sync_redis
from lobby.live.streams import add, encode

HEAVY = ("messages", "format", "options", "text", "thinking", "logprobs")
LONGEST_LINE = 1000  # how far places in line are told
POSITIONS = "lobby:positions"  # hash: run → place last told
POSITIONS_THROTTLE = "lobby:positions:told"


def claim(*, worker: UUID, cursor: str, gates: Gates) -> list[Run]:
    """Take the next runs for a host with free slots; [] when there is nothing to take.

    `gates` is what the breakers allow. `cursor` is a stream cursor from before the runs could say anything.
    The host's row is locked meanwhile, so that all workers together never exceed its slots.
    """
    hosts = _with_room(gates)
    for host, free in hosts:
        taken = _claim_for(host, most=1 if len(hosts) > 1 else free, worker=worker, cursor=cursor, gates=gates)
        if taken:
            return taken
    return []


def _with_room(gates: Gates) -> list[tuple[Host, int]]:
    """Enabled hosts with free slots, the least loaded first."""
    hosts = list(Host.objects.enabled().filter(Exists(Run.objects.queued())))
    if len(hosts) == 1:
        return [(hosts[0], hosts[0].max_parallel)]  # what is free there is counted under its lock
    busy = dict(Run.objects.running().order_by().values_list("host").annotate(number=Count("*")))
    free = [(host, gates.slots(host.pk, host.max_parallel) - busy.get(host.pk, 0)) for host in hosts]
    return sorted(
        ((h, n) for h, n in free if n > 0), key=lambda pair: (_is_down(pair[0]), -pair[1] / pair[0].max_parallel)
    )


def _is_down(host: Host) -> bool:
    return host.state == Host.State.DOWN


def _claim_for(host: Host, *, most: int, worker: UUID, cursor: str, gates: Gates) -> list[Run]:
    with transaction.atomic(), connection.cursor() as sql:
        sql.execute(runs.UNHURRIED)
        locked = Host.objects.enabled().select_for_update().filter(pk=host.pk).first()
        if locked is None:
            return []
        free = gates.slots(locked.pk, locked.max_parallel) - Run.objects.running().filter(host=host).count()
        line = in_order(_fitting(locked, gates), loaded=locked.loaded)
        ids = list(line.values_list("pk", flat=True)[: max(0, min(free, most))])
        # Who was declared dead claims nothing until it has noticed.
        registered = Exists(Worker.objects.filter(pk=worker))
        taken = (
            Run.objects.queued()
            .filter(registered, pk__in=ids)
            .update(
                status=Run.Status.RUNNING,
                host=locked,
                worker=worker,
                attempt=F("attempt") + 1,
                started_at=Now(),
                first_token_at=None,
                text="",
                thinking="",
                logprobs=None,
                cursor=cursor,
            )
        )
        if not taken:
            return []
        mine = Run.objects.running().filter(pk__in=ids, worker=worker)
        return list(mine.select_related("host", "agent").order_by("priority", "queued_at"))


def _fitting(host: Host, gates: Gates) -> QuerySet[Run]:
    waiting = Run.objects.queued().exclude(avoided_hosts__contains=[str(host.pk)])
    waiting = waiting.exclude(model__in=gates.shut_models(host.pk))
    waiting = waiting.filter(Q(wanted_host=None) | Q(wanted_host=host))
    return waiting if host.state == Host.State.UNKNOWN else waiting.filter(model__in=host.model_names)


def in_order(waiting: QuerySet[Run], *, loaded: Any = ()) -> QuerySet[Run]:
    """By priority; then fairly: an owner's n-th run counts n plus what that owner has running; then a model that is
    loaded; then age."""
    running = Run.objects.running().filter(owner=OuterRef("owner")).order_by().values("owner")
    busy = Subquery(running.annotate(number=Count("*")).values("number"), output_field=IntegerField())
    nth = Window(RowNumber(), partition_by=[F("owner"), F("priority")], order_by=F("queued_at").asc())
    ordered = waiting.annotate(turn=Coalesce(busy, 0) + nth)
    if not loaded:  # a constant to order by would be taken for a column's number
        return ordered.order_by("priority", "turn", "queued_at")
    cold = Case(When(model__in=list(loaded), then=Value(0)), default=Value(1))
    return ordered.annotate(cold=cold).order_by("priority", "turn", "cold", "queued_at")


def fail_stranded(*, gates: Gates) -> int:
    """End the waiting runs that no enabled host will take: the model is gone, or all breakers are open.

    Better a clear word at once than waiting on a host that is known to be down. How many still wait.
    """
    waiting = list(Run.objects.queued().defer(*HEAVY))
    hosts = list(Host.objects.enabled()) if waiting else []
    ended = 0
    for run in waiting:
        reasons = [gates.why_shut(host.pk, run.model) for host in hosts if _takes(host, run)]
        if all(reasons):
            kind, message = _why(run, hosts, [reason for reason in reasons if reason])
            ended += runs.fail_waiting(run, kind=kind, message=message)
    return len(waiting) - ended


def _takes(host: Host, run: Run) -> bool:
    return run.wanted_host_id in (None, host.pk) and str(host.pk) not in run.avoided_hosts and capable(host, run.model)


def _why(run: Run, hosts: list[Host], reasons: list[str]) -> tuple[str, str]:
    if reasons:
        return "host_unreachable", reasons[0]
    if not hosts:
        return "host_unreachable", "No model host is switched on: an admin does that under Admin → Hosts."
    names = sorted({name for host in hosts for name in host.model_names})
    listed = f"There are: {', '.join(names[:20])}." if names else "They have no model at all."
    return "model_missing", f"No model host has the model {run.model} any more. {listed}"


def positions() -> dict[Run, int]:
    """Each waiting run's place: how many start before it on the host where it starts first, and one."""
    waiting = list(in_order(Run.objects.queued().defer(*HEAVY))[:LONGEST_LINE])
    places: dict[Run, int] = {}
    for host in Host.objects.enabled() if waiting else ():
        place = count(1)
        for run in waiting:
            if _takes(host, run):
                places[run] = min(next(place), places.get(run, LONGEST_LINE))
    return places


def tell_positions() -> bool:
    """Say every changed place on its run's topic; False if that was done less than a second ago."""
    client = sync_redis()
    try:
        if not client.set(POSITIONS_THROTTLE, 1, nx=True, px=1000):
            return False
        told = {key.decode(): int(value) for key, value in client.hgetall(POSITIONS).items()}  # type: ignore[union-attr]
        places = positions()
        with client.pipeline(transaction=False) as pipe:
            for run, place in places.items():
                if run.topic and told.get(str(run.pk)) != place:
                    add(pipe, run.topic, encode(_queued(run, place)))
            pipe.delete(POSITIONS)
            if places:
                pipe.hset(POSITIONS, mapping={str(run.pk): place for run, place in places.items()})
            pipe.execute()
    except RedisError:
        return False
    return True


def _queued(run: Run, place: int) -> RunQueued:
    return {"type": "run.queued", "run": str(run.pk), "attempt": run.attempt, "position": place}
