"""Rows for tests: each function makes one row that is valid as it stands; keywords change what the test is about.

Personas: alice owns what a test is about, bob is another user, carol is an admin.
"""

from itertools import count
from typing import Any
from uuid import uuid4

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db.models import Model

from agents.models import Agent, Host, Run
from chat.models import Conversation, Message

MODEL = "smollm2:135m"
PASSWORD = "correct horse battery"  # noqa: S105  (of users who live for one test)

numbers = count(1)


class QuickHasher(PBKDF2PasswordHasher):
    iterations = 1


def make_user(username: str = "alice", **fields: Any) -> User:
    return User.objects.create_user(username, password=fields.pop("password", PASSWORD), **fields)


def alice() -> User:
    """The one owner of whatever was made without naming one."""
    return User.objects.filter(username="alice").first() or make_user()


def make_admin(username: str = "carol", **fields: Any) -> User:
    return make_user(username, is_staff=True, is_superuser=True, **fields)


def make_host(*, models: tuple[str, ...] = (MODEL,), context_length: int = 8192, **fields: Any) -> Host:
    """A host that was found up and has `models` installed."""
    number = next(numbers)
    installed = [{"name": model, "context_length": context_length, "capabilities": ["completion"]} for model in models]
    defaults: dict[str, Any] = {
        "name": f"host {number}",
        "base_url": f"http://127.0.0.1:{20000 + number}",
        "state": Host.State.UP,
        "installed": installed,
    }
    return Host.objects.create(**defaults | fields)


def make_agent(slug: str | None = None, **fields: Any) -> Agent:
    number = next(numbers)
    defaults: dict[str, Any] = {
        "slug": slug or f"agent-{number}",
        "name": f"Agent {number}",
        "system_prompt": "You answer briefly.",
        "initials": "A",
    }
    return Agent.objects.create(**defaults | fields)


def make_conversation(*, owner: User | None = None, agent: Agent | None = None, **fields: Any) -> Conversation:
    return Conversation.objects.create(owner=owner or alice(), agent=agent or make_agent(), **fields)


def make_message(
    conversation: Conversation | None = None,
    *,
    parent: Message | None = None,
    role: Message.Role = Message.Role.USER,
    text: str = "What is a lease?",
    **fields: Any,
) -> Message:
    """A message that the conversation shows: `head` moves to it."""
    conversation = conversation or make_conversation()
    if role is Message.Role.ASSISTANT:
        fields.setdefault("agent", conversation.agent)
    message = Message.objects.create(conversation=conversation, parent=parent, role=role, text=text, **fields)
    conversation.head = message
    conversation.save(update_fields=["head"])
    return message


def make_run(
    *, owner: User | None = None, agent: Agent | None = None, subject: Model | None = None, **fields: Any
) -> Run:
    """A queued run of purpose "test"; `subject` is the row it works for, by default nothing that exists."""
    defaults: dict[str, Any] = {
        "purpose": "test",
        "model": MODEL,
        "messages": [{"role": "user", "content": "What is a lease?"}],
        "subject": uuid4() if subject is None else subject.pk,
    }
    return Run.objects.create(owner=owner or alice(), agent=agent or make_agent(), **defaults | fields)
