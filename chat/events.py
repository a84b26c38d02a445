"""What a conversation says on its topic, `chat:<conversation>`, and to its owner, `user:<id>`.

An agent's runs speak on the conversation's topic too: agents/events.py.
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal, NotRequired, TypedDict

import structlog
from django.db import transaction
from redis.exceptions import RedisError

from chat.models import Conversation, Message
from lobby.live.streams import publish

log = structlog.get_logger()


class ChatMessage(TypedDict):
    """A message was added, changed or rendered: its fragment, or the thread, is to be fetched."""

    type: Literal["chat.message"]
    message: str
    parent: str | None
    run: NotRequired[str]  # that writes it; a message may change to another run while it is being written


class ChatTitle(TypedDict):
    type: Literal["chat.title"]
    title: str


Change = Literal["created", "renamed", "pinned", "deleted", "restored", "activity"]


class ChatConversation(TypedDict):
    """For the side bars of its owner."""

    type: Literal["chat.conversation"]
    conversation: str
    change: Change


ChatEvent = ChatMessage | ChatTitle | ChatConversation


def say_message(message: Message) -> None:
    say_messages(message)


def say_messages(*messages: Message) -> None:
    """Of one conversation; what is said of each is what it is on commit."""
    transaction.on_commit(lambda: _say(f"chat:{messages[0].conversation_id}", *map(_changed, messages)))


def _changed(message: Message) -> ChatMessage:
    event: ChatMessage = {
        "type": "chat.message",
        "message": str(message.pk),
        "parent": str(message.parent_id) if message.parent_id else None,
    }
    if message.run_id:
        event["run"] = str(message.run_id)
    return event


def say_title(conversation: Conversation) -> None:
    _say_on_commit(conversation.topic, ChatTitle(type="chat.title", title=conversation.title))
    say_conversation(conversation, "renamed")


def say_conversation(conversation: Conversation, change: Change) -> None:
    event = ChatConversation(type="chat.conversation", conversation=str(conversation.pk), change=change)
    _say_on_commit(f"user:{conversation.owner_id}", event)


def _say_on_commit(topic: str, event: ChatEvent) -> None:
    transaction.on_commit(partial(_say, topic, event))


def _say(topic: str, *events: Mapping[str, object]) -> None:
    try:
        publish(topic, *events)
    except RedisError as error:  # the rows are right; a page that attaches again sees them
        log.warning("event_not_heard", topic=topic, types=[event["type"] for event in events], error=str(error))
