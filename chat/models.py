import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Left, Now

from agents.models import Agent, Run
from chat.querysets import ConversationQuerySet, MessageQuerySet

if TYPE_CHECKING:
    from chat.search import Snippet

# PostgreSQL refuses to index more than 1 MiB of different words: of a longer message the beginning can be found.
SEARCHABLE = 100_000  # characters
# A reply whose HTML is still to be made
UNRENDERED = models.Q(role="assistant", html="") & ~models.Q(status="writing") & ~models.Q(text="")
CONTEXT_SLACK = 4  # tokens: servers keep the last few to themselves


class Conversation(models.Model):
    """A tree of messages; `head` names the leaf of the branch that is shown."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    agent = models.ForeignKey(Agent, null=True, on_delete=models.SET_NULL, related_name="conversations")
    title = models.CharField(max_length=120, blank=True)
    is_titled = models.BooleanField(default=False)  # by a person or a model; until then by the question's first words
    is_pinned = models.BooleanField(default=False)
    head = models.ForeignKey("Message", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True)  # in the bin: can be brought back until it is emptied
    stored = models.PositiveBigIntegerField(default=0, db_default=0)  # bytes of text and thinking in its messages

    stored_in_all: int  # bytes in all chats of its owner, set where a question is asked (chat.storage)
    snippet: "Snippet"  # set by chat.search

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-is_pinned", "-updated_at"]
        indexes = [
            models.Index(fields=["owner", "-is_pinned", "-updated_at"], name="conversation_list"),
            models.Index(fields=["-updated_at"], name="conversation_by_use"),  # the admin's list
            models.Index(fields=["created_at"], name="conversation_by_age"),  # how many are begun, for the metrics
            # What all chats of an owner hold is asked with every question
            models.Index(
                fields=["owner"], include=["stored"], condition=models.Q(deleted_at=None), name="conversation_stored"
            ),
        ]

    def __str__(self) -> str:
        return self.title or "New chat"

    @property
    def topic(self) -> str:
        return f"chat:{self.id}"


class Message(models.Model):
    """What one side said. Regenerating a reply or editing a question makes a sibling under the same parent."""

    class Role(models.TextChoices):
        USER = "user", "user"
        ASSISTANT = "assistant", "assistant"

    class Status(models.TextChoices):
        WRITING = "writing", "being written"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "stopped"
        INTERRUPTED = "interrupted", "broken off"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    role = models.CharField(max_length=10, choices=Role)
    agent = models.ForeignKey(Agent, null=True, on_delete=models.SET_NULL)
    text = models.TextField(blank=True)  # of a reply: all that ended runs have said; a live run's text comes on top
    thinking = models.TextField(blank=True)
    html = models.TextField(blank=True)  # rendered and sanitised from text; empty: not rendered yet
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="+")  # the latest
    status = models.CharField(max_length=12, choices=Status, default=Status.DONE)
    trimmed = models.PositiveIntegerField(default=0)  # older messages that did not fit the context of the last run
    refusals = models.PositiveSmallIntegerField(default=0)  # prompts too long for the model since somebody last asked
    request_key = models.UUIDField(null=True)  # the page's own id of a question: a double click is one question
    created_at = models.DateTimeField(db_default=Now())

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "request_key"], name="one_message_per_request"),
        ]
        indexes = [
            GinIndex(SearchVector(Left("text", SEARCHABLE), config="simple"), name="message_search"),
            models.Index(fields=["conversation"], condition=models.Q(status="writing"), name="message_writing"),
            models.Index(fields=["created_at"], condition=UNRENDERED, name="message_unrendered"),
        ]

    # Where it stands in the tree, set by chat.conversations: the ids of all messages under its parent, oldest first,
    # and which of them it is (from 1).
    siblings: list[uuid.UUID]
    branch: int

    def __str__(self) -> str:
        return f"{self.role}: {self.text[:40]}"

    @property
    def branches(self) -> int:
        return len(self.siblings)

    @property
    def is_writing(self) -> bool:
        return self.status == Message.Status.WRITING

    @property
    def error_kind(self) -> str:
        return self.run.error_kind if self.run and not self.is_writing else ""

    @property
    def error(self) -> str:
        """What failed and what to do, in words; empty when nothing did."""
        return self.run.error if self.run and not self.is_writing else ""

    @property
    def ending(self) -> str:
        """Why a finished reply is not complete, in words; empty when it is."""
        if self.run is None or self.run.done_reason != "length" or self.status != Message.Status.DONE:
            return ""
        used = (self.run.prompt_tokens or 0) + (self.run.output_tokens or 0)
        size = self.run.context_length
        if size and used >= size - CONTEXT_SLACK:
            return f"The context is full: {used:,} of {size:,} tokens. What follows may not see the beginning."
        return f"Stopped at the length limit of {self.run.output_tokens or 0:,} tokens."
