from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, FilterSchema

from agents import runs
from chat import models, rendering
from lobby.schema import Schema

RENDERED_AT_ONCE = 100_000  # characters; a longer reply's HTML is there when the worker has made it


class Conversation(Schema):
    """A chat: a tree of messages, of which one branch is shown."""

    id: UUID
    agent: str | None = Field(None, alias="agent_slug", description="Slug of who answers the next question.")
    title: str = Field(description="Until the model or you name it, the first question's first words.")
    is_pinned: bool
    is_writing: bool = Field(description="A reply is being written, on whichever branch.")
    head: UUID | None = Field(None, alias="head_id", description="The message at the end of the branch that is shown.")
    created_at: datetime
    updated_at: datetime
    snippet: str = Field("", description="Where a search found it.")

    @staticmethod
    def resolve_snippet(conversation: models.Conversation) -> str:
        return str(getattr(conversation, "snippet", ""))


class ConversationStart(Schema):
    agent: str = Field(description="Slug of the agent.")
    id: UUID | None = Field(None, description="Your own, random: asking twice with it makes one conversation.")


class ConversationChange(Schema):
    """What is named changes; the rest stays."""

    title: str | None = None
    is_pinned: bool | None = None
    agent: str | None = Field(None, description="Slug of who answers the next question.")
    head: UUID | None = Field(None, description="Show the branch that goes through this message.")


class Conversations(Schema):
    items: list[Conversation]
    next: str | None


class ConversationFilter(FilterSchema):
    q: str = Field("", max_length=1000, description="Words to find in titles and messages; at most 50 are found.")


class Message(Schema):
    """A question or a reply."""

    id: UUID
    conversation: UUID = Field(alias="conversation_id")
    parent: UUID | None = Field(None, alias="parent_id")
    role: models.Message.Role
    agent: str | None = Field(None, alias="agent.slug")
    text: str = Field(description="Of a reply that is being written: what was said before this run.")
    thinking: str
    html: str = Field(description="A reply's text, rendered and safe to show; of a very long one, when that is done.")
    status: models.Message.Status
    run: UUID | None = Field(None, alias="run_id", description="The run that wrote it last, or is writing it.")
    stats: dict[str, float | int | str | None] = Field(description="The figures of that run.")
    error_kind: str
    error: str = Field(description="What failed, and what to do.")
    ending: str = Field(description="Why a reply that is done is not complete.")
    trimmed: int = Field(description="How many of the oldest messages the model did not get to read.")
    siblings: list[UUID] = Field(description="All messages under the same parent, itself among them, oldest first.")
    branch: int = Field(description="Which of them this is, from 1.")
    created_at: datetime

    @staticmethod
    def resolve_html(message: models.Message) -> str:
        if message.role == models.Message.Role.USER or len(message.text) > RENDERED_AT_ONCE:
            return message.html
        return rendering.html_of(message)

    @staticmethod
    def resolve_stats(message: models.Message) -> dict[str, Any]:
        return dict(runs.stats(message.run)) if message.run else {}


class Messages(Schema):
    items: list[Message]
    next: str | None


class Question(Schema):
    text: str
    key: UUID | None = Field(None, description="Your own, random: asking twice with it makes one question.")


class QuestionBelow(Question):
    parent: UUID | None = Field(None, description="By default the end of the branch that is shown.")


class Exchange(Schema):
    question: Message
    reply: Message


class Regeneration(Schema):
    agent: str | None = Field(None, description="Slug of another agent that is to answer.")
