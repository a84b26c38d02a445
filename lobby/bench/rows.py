"""The rows of a bench, made and read past the product. Imported once Django is set up."""

from collections.abc import Iterable
from itertools import count
from uuid import UUID

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection

from agents.models import Agent, Host, Run, Worker
from chat.models import Conversation, Message
from lobby.bench.page import Person

SLOTS = 256
MODEL = "fake:latest"
numbers = count(1)


def make_agent(*, host: str) -> Agent:
    """An agent on a host with a slot for every chat; other hosts are switched off."""
    Host.objects.exclude(base_url=host).update(is_enabled=False)
    found = {"name": "bench", "max_parallel": SLOTS, "state": Host.State.UP, "installed": [{"name": MODEL}]}
    Host.objects.update_or_create(base_url=host, defaults=found)
    prompt = "You answer briefly."
    return Agent.objects.create(slug="bench", name="Bench", model=MODEL, system_prompt=prompt, initials="B")


def make_people(number: int, *, agent: Agent) -> list[Person]:
    """Each a user of its own, with a conversation that its owner has named: no model is asked for a title."""
    return [make_person(agent=agent) for _ in range(number)]


def make_person(*, agent: Agent) -> Person:
    user = User.objects.create_user(f"bench-{next(numbers)}")
    conversation = Conversation.objects.create(owner=user, agent=agent, title="Bench", is_titled=True)
    return Person(session=sign_in(user), conversation=str(conversation.pk))


def sign_in(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def texts(messages: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(status, text) of each message, as the database has them."""
    rows = Message.objects.filter(pk__in=list(messages)).values_list("pk", "status", "text")
    return {str(pk): (status, text) for pk, status, text in rows}


def attempts(runs: Iterable[str]) -> dict[str, tuple[int, str]]:
    """(attempt, error kind) of each run."""
    rows = Run.objects.filter(pk__in=list(runs)).values_list("pk", "attempt", "error_kind")
    return {str(pk): (attempt, kind) for pk, attempt, kind in rows}


def running_on(pid: int) -> dict[str, int]:
    """The attempt of each run that the worker with this process number has."""
    workers: list[UUID] = list(Worker.objects.filter(pid=pid).values_list("pk", flat=True))
    rows = Run.objects.running().filter(worker__in=workers).values_list("pk", "attempt")
    return {str(pk): attempt for pk, attempt in rows}


WRITES = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables WHERE relname = ANY(%s)"
ALL_WRITES = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"


def written(*, tables: list[str] | None = None) -> int:
    """Rows inserted, updated and deleted up to now, as far as PostgreSQL's processes have told."""
    with connection.cursor() as cursor:
        cursor.execute(WRITES if tables else ALL_WRITES, [tables] if tables else None)
        return int(cursor.fetchone()[0])
