"""The line of runs, kept in Postgres, and the bulkhead: no host ever has more runs than slots."""

from itertools import count
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count
from redis.exceptions import RedisError

from agents import limits, runs
from agents.breaker import Gates
from agents.events import RunQueued
from agents.hosts import capable
from agents.models import Host, Run
from lobby.live.connections import sync_redis
from lobby.live.streams import add, encode

HEAVY = ("messages", "format", "options", "text", "thinking", "logprobs")
LONGEST_LINE = 1000  # how far places in line are told
POSITIONS = "lobby:positions"  # hash: run → place last told
POSITIONS_THROTTLE = "lobby:positions:told"


# What waits, and how many runs of its owner are before it or running; and, of replies alone, how many of his waiting
# and running ones it would be, so that what he may have at once holds. Conditions may follow.
WAITING = """
WITH busy AS (SELECT owner_id, count(*) AS runs, count(*) FILTER (WHERE priority = 0) AS replies
                FROM agents_run WHERE status = 'running' GROUP BY owner_id)
SELECT id, priority, queued_at, model, topic, attempt, wanted_host_id, avoided_hosts, run.owner_id,
       row_number() OVER (PARTITION BY run.owner_id, priority ORDER BY queued_at) + COALESCE(busy.runs, 0) AS turn,
       row_number() OVER (PARTITION BY run.owner_id, priority ORDER BY queued_at) + COALESCE(busy.replies, 0) AS nth
  FROM agents_run AS run LEFT JOIN busy ON busy.owner_id = run.owner_id
 WHERE status = 'queued'
"""
# By priority; then fairly: an owner's n-th run counts n plus what that owner has running already; then age.
LINE = WAITING + " ORDER BY priority, turn, queued_at LIMIT %s"

HOSTS = """
SELECT * FROM agents_host
 WHERE is_enabled AND NOT is_draining AND EXISTS (SELECT FROM agents_run WHERE status = 'queued')
"""
LOCK = "SELECT * FROM agents_host WHERE id = %s AND is_enabled AND NOT is_draining FOR UPDATE"
# How many replies each owner who waits may have written at once: as lobby.accounts.allowances.choose says.
ALLOWED = """
SELECT owner_id, COALESCE(
         (SELECT own.value FROM unnest(%(users)s::int[], %(of_users)s::bigint[]) AS own(id, value)
           WHERE own.id = owner_id),
         (SELECT max(its.value) FROM auth_user_groups AS member
            JOIN unnest(%(groups)s::int[], %(of_groups)s::bigint[]) AS its(id, value) ON its.id = member.group_id
           WHERE member.user_id = owner_id),
         %(each)s) AS most
  FROM (SELECT DISTINCT owner_id FROM agents_run WHERE status = 'queued' AND priority = 0) AS owners
"""
# In the same order, but of runs with the same turn one whose model is loaded goes first. Who was declared dead claims
# nothing until it has noticed.
CLAIM = f"""
WITH waiting AS ({WAITING}
          AND NOT avoided_hosts ? %(host)s::text
          AND (wanted_host_id IS NULL OR wanted_host_id = %(host)s)
          AND (%(models)s::text[] IS NULL OR model = ANY(%(models)s::text[]))
          AND model <> ALL(%(shut_models)s::text[])),
     allowed AS ({ALLOWED}),
     ranked AS (
       SELECT waiting.*, row_number() OVER (
                PARTITION BY priority ORDER BY turn, model <> ALL(%(loaded)s::text[]), queued_at) AS rank
         FROM waiting LEFT JOIN allowed ON allowed.owner_id = waiting.owner_id AND priority = 0
        WHERE most IS NULL OR nth <= most),
     line AS (
       SELECT id FROM ranked
        WHERE priority > 0 OR %(together)s::bigint IS NULL OR rank <= %(together)s - (
              SELECT count(*) FROM agents_run WHERE status = 'running' AND priority = 0)
        ORDER BY priority, rank
        LIMIT greatest(0, least(%(most)s, %(slots)s - (
              SELECT count(*) FROM agents_run WHERE status = 'running' AND host_id = %(host)s))))
UPDATE agents_run AS mine
   SET status = 'running', host_id = %(host)s, worker = %(worker)s, attempt = mine.attempt + 1,
       started_at = statement_timestamp(), first_token_at = NULL,
       text = '', thinking = '', logprobs = NULL, cursor = %(cursor)s
  FROM line
 WHERE mine.id = line.id AND mine.status = 'queued'
   AND EXISTS (SELECT FROM agents_worker WHERE id = %(worker)s)
RETURNING mine.*
"""  # noqa: S608  (made of constants)


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
    """Enabled hosts with free slots, the least loaded first; none where nothing waits."""
    hosts = list(Host.objects.raw(HOSTS))
    if len(hosts) == 1:
        return [(hosts[0], hosts[0].max_parallel)]  # what is free there is counted under its lock
    busy = dict(Run.objects.running().order_by().values_list("host").annotate(number=Count("*"))) if hosts else {}
    free = [(host, gates.slots(host.pk, host.max_parallel) - busy.get(host.pk, 0)) for host in hosts]
    return sorted(
        ((h, n) for h, n in free if n > 0), key=lambda pair: (_is_down(pair[0]), -pair[1] / pair[0].max_parallel)
    )


def _is_down(host: Host) -> bool:
    return host.state == Host.State.DOWN


def _claim_for(host: Host, *, most: int, worker: UUID, cursor: str, gates: Gates) -> list[Run]:
    with transaction.atomic(), connection.cursor() as sql:
        sql.execute(runs.UNHURRIED)
        locked = next(iter(Host.objects.raw(LOCK, [host.pk])), None)
        if locked is None:
            return []
        # Counted in a statement of its own, which sees what others did while this one waited for the lock.
        taken = list(
            Run.objects.raw(
                CLAIM,
                {
                    "host": locked.pk,
                    "worker": worker,
                    "cursor": cursor,
                    "most": most,
                    "slots": gates.slots(locked.pk, locked.max_parallel),
                    "models": None if locked.state == Host.State.UNKNOWN else locked.model_names,
                    "shut_models": list(gates.shut_models(locked.pk)),
                    "loaded": list(locked.loaded),
                    **limits.at_once(),
                },
            )
        )
    for run in taken:
        run.host = locked
    return sorted(taken, key=lambda run: (run.priority, run.queued_at))


def fail_stranded(*, gates: Gates) -> int:
    """End the waiting runs that no enabled host will take: the model is gone, or all breakers are open.

    Better a clear word at once than waiting on a host that is known to be down. How many still wait.
    """
    if not Run.objects.queued().exists():
        return 0
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


def line() -> list[Run]:
    """What waits, in the order in which it starts where nothing else decides, as far as places are told."""
    return list(Run.objects.raw(LINE, [LONGEST_LINE]))


def positions() -> dict[Run, int]:
    """Each waiting run's place: how many start before it on the host where it starts first, and one."""
    waiting = line()
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
