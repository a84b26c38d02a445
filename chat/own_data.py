"""Conversations, as a person's own data: all branches, those in the bin too."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.utils.text import slugify

from chat.models import Conversation, Message
from lobby.accounts.own_data import AT_ONCE, File, Part, dumps
from lobby.live import streams

LEFT_OUT = ("html", "request_key", "refusals")  # made from the text, or of no meaning to people


def files(user: User) -> Iterator[File]:
    for conversation in Conversation.objects.filter(owner=user).select_related("agent").iterator(AT_ONCE):
        title = slugify(conversation.title)[:50].strip("-") or "chat"
        name = f"conversations/{conversation.created_at:%Y-%m-%d}-{title}-{str(conversation.pk)[:8]}"
        messages = list(conversation.messages.select_related("agent").order_by("created_at", "id"))
        yield f"{name}.json", [dumps(as_json(conversation, messages))]
        yield f"{name}.md", as_markdown(conversation, messages)


def as_json(conversation: Conversation, messages: list[Message]) -> dict[str, Any]:
    """A tree: each message names its parent; `head` is the end of the branch that was shown."""
    said = {column.attname: getattr(conversation, column.attname) for column in Conversation._meta.concrete_fields}
    agent = conversation.agent.name if conversation.agent else None
    return {**said, "agent": agent, "messages": [_message(message) for message in messages]}


def _message(message: Message) -> dict[str, Any]:
    columns = [column.attname for column in Message._meta.concrete_fields if column.name not in LEFT_OUT]
    return {name: getattr(message, name) for name in columns} | {"agent": message.agent and message.agent.name}


def as_markdown(conversation: Conversation, messages: list[Message]) -> Iterator[bytes]:
    """The branch that was shown, then all other messages."""
    path = _path(conversation, messages)
    yield f"# {conversation}\n\n".encode()
    for message in messages:
        if message.pk in path:
            yield _in_words(message)
    if len(path) < len(messages):
        yield b"# On other branches\n\n"
    for message in messages:
        if message.pk not in path:
            yield _in_words(message)


def _path(conversation: Conversation, messages: list[Message]) -> set[UUID]:
    parents = {message.pk: message.parent_id for message in messages}
    path, here = set(), conversation.head_id
    while here is not None and here in parents:
        path.add(here)
        here = parents[here]
    return path


def _in_words(message: Message) -> bytes:
    who = "You" if message.role == Message.Role.USER else (message.agent.name if message.agent else "Assistant")
    return f"## {who}, {message.created_at:%Y-%m-%d %H:%M}\n\n{message.text}\n\n".encode()


def remove(user: User) -> None:
    while ids := list(Conversation.objects.filter(owner=user).order_by().values_list("pk", flat=True)[:100]):
        Conversation.objects.filter(pk__in=ids).delete()
        streams.drop_on_commit(*(f"chat:{id}" for id in ids))


PART = Part(files=files, remove=remove)
