"""A believable installation for trying out and for measuring: users, hosts, conversations, debates, runs of a season.

All of it is made in the database itself, in one transaction. Whatever is made belongs to users named `demo-…`, by which
it is found and removed again; its hosts are switched off, its users have no password, and none of its runs waits.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import JSONField, Model

from agents.models import Agent, Host, Run
from chat.models import Conversation, Message
from debates.models import Debate
from lobby.trials import demonstrated_debates
from monitoring.models import Snapshot
from monitoring.snapshots import KEPT, minute_now

USERS = 200
DAYS = 90
BATCH = 50_000  # runs of one statement
RUNS_OF_A_CONVERSATION = 20
RUNS_OF_A_DEBATE = 2_000
MARK = "demonstration"  # the key in the snapshots that were made, not taken
USER, HOST, AGENT = "demo-", "Demonstration ", "demo-"

AGENTS = (
    ("Analyst", Agent.Role.ANALYST, "An", "#332288"),
    ("Researcher", Agent.Role.RESEARCHER, "Re", "#88ccee"),
    ("Quantifier", Agent.Role.QUANTIFIER, "Qu", "#117733"),
    ("Skeptic", Agent.Role.SKEPTIC, "Sk", "#882255"),
    ("Pragmatist", Agent.Role.PRAGMATIST, "Pr", "#ddcc77"),
    ("Lawyer", Agent.Role.SPECIALIST, "La", "#cc6677"),
    ("Engineer", Agent.Role.SPECIALIST, "En", "#44aa99"),
)
HOSTS = (("rack 1", 8, "llama3.1:8b"), ("rack 2", 4, "qwen3:14b"), ("attic", 2, "smollm2:135m"))


@dataclass(frozen=True, slots=True)
class Made:
    users: int
    hosts: int
    agents: int
    runs: int
    conversations: int
    messages: int
    debates: int
    snapshots: int

    def words(self) -> str:
        counts = asdict(self).items()
        return ", ".join(f"{number:,} {what.removesuffix('s') if number == 1 else what}" for what, number in counts)


class AlreadyThere(Exception):
    """There is demonstration data already."""


def has_real_data() -> bool:
    """Whether anybody else's question was ever asked here."""
    others = User.objects.exclude(username__startswith=USER)
    rows = (Run, Conversation, Debate)
    return any(kind.objects.filter(owner__in=others).exists() for kind in rows)


def is_there() -> bool:
    return User.objects.filter(username__startswith=USER).exists()


def make(*, runs: int, doing: Callable[[str], None] = lambda _: None) -> Made:
    """Raises AlreadyThere."""
    if is_there():
        raise AlreadyThere
    with transaction.atomic():
        users, hosts, agents = _users(), _hosts(), _agents()
        conversations = max(1, runs // RUNS_OF_A_CONVERSATION)
        for first in range(1, runs + 1, BATCH):
            doing(f"Runs: {first - 1:,} of {runs:,}")
            _runs(first, min(runs, first + BATCH - 1), conversations=conversations, hosts=hosts, agents=agents)
        doing("Conversations")
        messages = _conversations(conversations)
        doing("Debates")
        number = max(1, runs // RUNS_OF_A_DEBATE)
        debates = demonstrated_debates.make(number, users=users, agents=agents, hosts=hosts, days=DAYS)
        doing("Snapshots")
        snapshots = _snapshots()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Made(len(users), len(hosts), len(agents), runs, messages // 2, messages, debates, snapshots)


def remove(*, doing: Callable[[str], None] = lambda _: None) -> int:
    """How many rows went."""
    doing("Removing")
    gone = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE demo ON COMMIT DROP AS SELECT id FROM auth_user WHERE username LIKE 'demo-%'")
        for statement in REMOVALS:
            cursor.execute(statement)
            gone += cursor.rowcount
        gone += User.objects.filter(username__startswith=USER).delete()[0]
        gone += Agent.objects.filter(slug__startswith=AGENT, is_active=False).delete()[0]
        gone += Host.objects.filter(name__startswith=HOST, is_enabled=False).delete()[0]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return gone


# Whatever refers to a row goes before it.
REMOVALS = (
    "UPDATE chat_conversation SET head_id = NULL WHERE owner_id IN (SELECT id FROM demo)",
    "DELETE FROM chat_message m USING chat_conversation c WHERE m.conversation_id = c.id AND c.owner_id IN"
    " (SELECT id FROM demo)",
    "DELETE FROM chat_conversation WHERE owner_id IN (SELECT id FROM demo)",
    *(
        f"DELETE FROM {table} x USING debates_round r, debates_debate d WHERE x.round_id = r.id"  # noqa: S608  (constants)
        " AND r.debate_id = d.id AND d.owner_id IN (SELECT id FROM demo)"
        for table in ("debates_speech", "debates_ballot", "debates_claim")
    ),
    *(
        f"DELETE FROM {table} x USING debates_debate d WHERE x.debate_id = d.id"  # noqa: S608
        " AND d.owner_id IN (SELECT id FROM demo)"
        for table in ("debates_round", "debates_seat")
    ),
    "DELETE FROM debates_debate WHERE owner_id IN (SELECT id FROM demo)",
    "DELETE FROM agents_run WHERE owner_id IN (SELECT id FROM demo)",
    f"DELETE FROM monitoring_snapshot WHERE figures ? '{MARK}'",  # noqa: S608  (a constant)
)


def _users() -> list[User]:
    """Without a password that anybody could type."""
    names = (f"{USER}{number:03}" for number in range(1, USERS + 1))
    return User.objects.bulk_create(
        User(username=name, email=f"{name}@example.invalid", password="!" + uuid.uuid4().hex) for name in names
    )


def _hosts() -> list[Host]:
    return Host.objects.bulk_create(
        Host(
            name=HOST + name,
            base_url=f"http://{name.replace(' ', '-')}.example.invalid:11434",
            max_parallel=slots,
            is_enabled=False,
            installed=[{"name": model, "context_length": 8192, "capabilities": ["completion"]}],
        )
        for name, slots, model in HOSTS
    )


def _agents() -> list[Agent]:
    return Agent.objects.bulk_create(
        Agent(
            slug=AGENT + name.lower(),
            name=f"{name} (demonstration)",
            role=role,
            initials=initials,
            colour=colour,
            is_active=False,
        )
        for name, role, initials, colour in AGENTS
    )


# More by day than by night, less at the weekend, more every week; nothing that is yet to come.
RUNS = """
WITH drawn AS MATERIALIZED (
    SELECT n, now() - interval '30 seconds' - make_interval(
               days => floor(%(days)s * power(random(), 1.3))::int, secs => 86400 * random()) AS day,
           random() AS by_hour, random() AS fate, -ln(1 - random()) AS wait, -ln(1 - random()) AS first,
           20 + floor(-180 * ln(1 - random()))::int AS tokens, 8 + 40 * random() AS speed,
           40 + floor(-600 * ln(1 - random()))::int AS read, 1 + floor(random() * %(hosts)s)::int AS place,
           1 + floor(power(random(), 2) * %(users)s)::int AS person, 1 + floor(random() * %(agents)s)::int AS agent,
           random() AS purpose
      FROM generate_series(%(first)s, %(last)s) n
), placed AS MATERIALIZED (
    SELECT *, CASE WHEN by_hour > (0.25 + 0.75 * sin(pi() * EXTRACT(HOUR FROM day) / 24) ^ 2)
                        * CASE WHEN EXTRACT(ISODOW FROM day) > 5 THEN 0.45 ELSE 1 END
                   THEN LEAST(date_trunc('day', day - interval '9 hours') + (9 + 9 * by_hour) * interval '1 hour', day)
                   ELSE day END AS asked,
           CASE WHEN fate < 0.935 THEN 'done' WHEN fate < 0.965 THEN 'failed' WHEN fate < 0.988 THEN 'cancelled'
                ELSE 'interrupted' END AS status
      FROM drawn
), timed AS MATERIALIZED (
    SELECT *, asked + make_interval(secs => 0.05 + wait * 0.6) AS started,
           asked + make_interval(secs => 0.25 + wait * 0.6 + first * 0.5) AS spoke
      FROM placed
)
"""
OF_RUN = {
    "id": "md5('demonstration run ' || n)::uuid",
    "subject": "md5('demonstration reply ' || n)::uuid",
    "purpose": "CASE WHEN n <= %(conversations)s OR purpose < 0.6 THEN 'chat.reply'"
    " WHEN purpose < 0.7 THEN 'chat.title' WHEN purpose < 0.87 THEN 'debate.speech' ELSE 'debate.ballot' END",
    "priority": "CASE WHEN n <= %(conversations)s OR purpose < 0.6 THEN 0 WHEN purpose < 0.7 THEN 20 ELSE 10 END",
    "owner_id": "(%(user_ids)s::int[])[person]",
    "agent_id": "(%(agent_ids)s::uuid[])[agent]",
    "host_id": "(%(host_ids)s::uuid[])[place]",
    "model": "(%(models)s::text[])[place]",
    "messages": """jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'Demonstration question ' || n))""",
    "status": "status",
    "attempt": "1",
    "text": "CASE WHEN status = 'failed' THEN '' ELSE 'This is the text of demonstration reply ' || n || '.' END",
    "error_kind": "CASE WHEN status = 'interrupted' THEN 'stream_cut' WHEN status <> 'failed' THEN ''"
    " ELSE (ARRAY['host_unreachable', 'host_unreachable', 'model_missing', 'model_failed', 'context_full', 'stalled'])"
    "[1 + floor(fate * 1e6)::int %% 6] END",
    "error": "CASE WHEN status IN ('failed', 'interrupted') THEN 'A demonstration of what can go wrong.' ELSE '' END",
    "queued_at": "asked",
    "started_at": "started",
    "first_token_at": "CASE WHEN status <> 'failed' THEN spoke END",
    "finished_at": "LEAST(spoke + CASE WHEN status = 'failed' THEN interval '0'"
    " ELSE make_interval(secs => tokens / speed) END, now())",
    "done_reason": "CASE WHEN status = 'done' THEN 'stop' ELSE '' END",
    "prompt_tokens": "read",
    "output_tokens": "CASE WHEN status <> 'failed' THEN tokens END",
    "tokens_per_second": "CASE WHEN status = 'done' THEN speed END",
    "context_length": "8192",
}


def _runs(first: int, last: int, *, conversations: int, hosts: list[Host], agents: list[Agent]) -> None:
    people = list(User.objects.filter(username__startswith=USER).order_by("pk").values_list("pk", flat=True))
    given = {
        "first": first,
        "last": last,
        "days": DAYS,
        "conversations": conversations,
        "user_ids": people,
        "users": len(people),
        "host_ids": [host.pk for host in hosts],
        "models": [host.model_names[0] for host in hosts],
        "hosts": len(hosts),
        "agent_ids": [agent.pk for agent in agents],
        "agents": len(agents),
    }
    _insert(Run, OF_RUN, source="timed", before=RUNS, given=given)


OF_CONVERSATION = {
    "id": "md5('demonstration conversation ' || r.id)::uuid",
    "owner_id": "r.owner_id",
    "agent_id": "r.agent_id",
    "title": "'Demonstration ' || left(r.id::text, 8)",
    "is_titled": "true",
    "head_id": "r.subject",
    "created_at": "r.queued_at",
    "updated_at": "r.finished_at",
    "stored": "octet_length(r.messages->0->>'content') + octet_length(r.text)",
}
OF_QUESTION = {
    "id": "md5('demonstration question ' || r.id)::uuid",
    "conversation_id": "md5('demonstration conversation ' || r.id)::uuid",
    "role": "'user'",
    "text": "r.messages->0->>'content'",
    "status": "'done'",
    "created_at": "r.queued_at",
}
OF_REPLY = {
    "id": "r.subject",
    "conversation_id": "md5('demonstration conversation ' || r.id)::uuid",
    "parent_id": "md5('demonstration question ' || r.id)::uuid",
    "role": "'assistant'",
    "agent_id": "r.agent_id",
    "text": "r.text",
    "html": "CASE WHEN r.text = '' THEN '' ELSE '<p>' || r.text || '</p>' END",
    "run_id": "r.id",
    "status": "r.status",
    "created_at": "r.queued_at + interval '1 millisecond'",
}
TALKED = "generate_series(1, %(conversations)s) n JOIN agents_run r ON r.id = md5('demonstration run ' || n)::uuid"


def _conversations(number: int) -> int:
    """A question and a reply each; how many messages."""
    given = {"conversations": number}
    number = _insert(Conversation, OF_CONVERSATION, source=TALKED, given=given)
    _insert(Message, OF_QUESTION, source=TALKED, given=given)
    _insert(Message, OF_REPLY, source=TALKED, given=given)
    return 2 * number


COUNTED = """
SELECT %(span)s, at, jsonb_object_agg(key, value) || %(gauges)s FROM (
    SELECT date_trunc(%(span)s, finished_at) AS at, 'runs_finished:' || status AS key, count(*)::float8 AS value
      FROM agents_run WHERE finished_at >= %(since)s AND finished_at < %(until)s GROUP BY 1, 2
     UNION ALL
    SELECT date_trunc(%(span)s, finished_at), 'run_failures:' || error_kind, count(*)
      FROM agents_run WHERE finished_at >= %(since)s AND finished_at < %(until)s AND error_kind <> '' GROUP BY 1, 2
     UNION ALL
    SELECT date_trunc(%(span)s, ended_at), 'debates_ended:' || COALESCE(verdict->>'label', 'none'), count(*)
      FROM debates_debate WHERE ended_at >= %(since)s AND ended_at < %(until)s GROUP BY 1, 2
     UNION ALL
    SELECT each.at, pair.key, pair.value::float8
      FROM (SELECT date_trunc(%(span)s, finished_at) AS at, sum(output_tokens) AS written, sum(prompt_tokens) AS read,
                   percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
                       ORDER BY EXTRACT(EPOCH FROM first_token_at - queued_at)) AS first,
                   sum(EXTRACT(EPOCH FROM finished_at - started_at)) / %(seconds)s AS busy, count(*) AS ended
              FROM agents_run WHERE finished_at >= %(since)s AND finished_at < %(until)s GROUP BY 1) each,
           LATERAL jsonb_each_text(jsonb_strip_nulls(jsonb_build_object(
               'tokens_written', written, 'tokens_read', read, 'runs_asked', ended, 'runs_running', busy,
               'queue_runs', round(random() * busy / 3), 'requests_per_second', ended * 9.0 / %(seconds)s,
               'first_token_seconds:0.5', first[1], 'first_token_seconds:0.95', first[2],
               'ws_connections', 6 + round(30 * busy), 'database_connections', 8 + round(4 * random())))) pair
) found GROUP BY at
"""
STRETCHES = {Snapshot.Span.MINUTE: 60, Snapshot.Span.HOUR: 3600, Snapshot.Span.DAY: 86400}  # seconds


def _snapshots() -> int:
    """What would have been taken, made from the rows; gauges that no row keeps are invented."""
    end, made = minute_now(), 0
    for span, seconds in STRETCHES.items():
        until = end if span is Snapshot.Span.MINUTE else end.replace(minute=0)
        since = max(end - KEPT[span], end - timedelta(days=DAYS))
        until = until.replace(hour=0) if span is Snapshot.Span.DAY else until
        gauges = {"workers": 2, "database_bytes": 1.2e9, "redis_bytes": 6.4e7, "disk_free_ratio": 0.62, MARK: 1}
        given = {"span": span, "seconds": seconds, "since": since, "until": until, "gauges": _json(gauges)}
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO monitoring_snapshot (span, at, figures) {COUNTED} ON CONFLICT DO NOTHING",  # noqa: S608
                given,
            )
            made += cursor.rowcount
    return made


def _insert(
    model: type[Model], columns: Mapping[str, str], *, source: str, given: Mapping[str, Any], before: str = ""
) -> int:
    """INSERT … SELECT: `columns` as expressions over `source`; the others get what the model gives by default."""
    filled, values = dict(columns), dict(given)
    for field in model._meta.concrete_fields:
        name = str(field.column)
        if name in filled or field.null or field.has_db_default() or field.primary_key:
            continue
        filled[name] = f"%({name})s" + ("::jsonb" if isinstance(field, JSONField) else "")
        values[name] = field.get_db_prep_save(field.get_default(), connection)
    names, expressions = ", ".join(filled), ", ".join(filled.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"{before} INSERT INTO {model._meta.db_table} ({names}) SELECT {expressions} FROM {source}",  # noqa: S608
            values,
        )
        return int(cursor.rowcount)


def _json(value: Any) -> Any:
    return JSONField().get_db_prep_save(value, connection)
