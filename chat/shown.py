"""What the pages show of conversations, messages and agents, read in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.models import Agent
from chat import context, conversations
from chat.models import Conversation, Message
from chat.rendering import html_of
from chat.topics import fingerprint

PAGE = 30  # messages at first, and each time the reader scrolls up
LISTED, MOST_LISTED = 50, 500  # conversations in the side bar
RENDERED_HERE = 100_000  # characters: longer ones wait for the worker and are shown as plain text until then


@dataclass(frozen=True, slots=True)
class Thread:
    messages: list[Message]
    meter: context.ContextUse
    fingerprint: str

    @classmethod
    def of(cls, conversation: Conversation, *, before: UUID | None = None) -> Thread:
        messages = conversations.thread(conversation, last=PAGE, before=before)
        meter = context.meter(conversation, path=messages)
        return cls([one(message) for message in messages], meter, fingerprint(conversation))

    def context(self) -> dict[str, Any]:
        has_older = bool(self.messages) and self.messages[0].parent_id is not None
        shown = {"thread": self.messages, "meter": self.meter, "fingerprint": self.fingerprint}
        return shown | {"has_older": has_older}


def one(message: Message) -> Message:
    """A reply whose rendering is due gets it now, unless that would take long."""
    if message.role == Message.Role.ASSISTANT and len(message.text) <= RENDERED_HERE:
        html_of(message)
    return message


def listed(user: Any, *, query: str = "", limit: str = "") -> dict[str, Any]:
    """The side bar's conversations: those found, or those that were active last."""
    if query:
        return {"conversations": conversations.search(owner=user, query=query), "query": query}
    size = min(int(limit), MOST_LISTED) if limit.isdecimal() else LISTED
    found = list(Conversation.objects.visible_to(user).begun().with_state()[: size + 1])
    return {"conversations": found[:size], "has_more": len(found) > size}


def agents_for(user: Any) -> list[Agent]:
    return list(Agent.objects.visible_to(user))
