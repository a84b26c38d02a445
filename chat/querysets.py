from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, F, OuterRef

if TYPE_CHECKING:
    from chat.models import Conversation, Message  # noqa: F401  (named by the generics below)

# Long texts of a run that a thread does not show
UNSHOWN = ("run__messages", "run__logprobs", "run__text", "run__thinking", "run__format")


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: Any) -> ConversationQuerySet:
        return self.of(user).filter(deleted_at=None)

    def binned(self, user: Any) -> ConversationQuerySet:
        """Deleted ones, which can still be restored."""
        return self.of(user).exclude(deleted_at=None)

    def of(self, user: Any) -> ConversationQuerySet:
        return self.filter(owner=user) if user.is_authenticated else self.none()

    def begun(self) -> ConversationQuerySet:
        """Where something was asked: a side bar shows no empty ones."""
        return self.exclude(head=None)

    def with_state(self) -> ConversationQuerySet:
        """Each with its agent, `agent_slug` and `is_writing`: a reply is being written on one of its branches."""
        from chat.models import Message  # which imports this module

        writing = Message.objects.filter(conversation=OuterRef("pk"), status="writing")
        return self.select_related("agent").annotate(is_writing=Exists(writing), agent_slug=F("agent__slug"))


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: Any) -> MessageQuerySet:
        if not user.is_authenticated:
            return self.none()
        return self.filter(conversation__owner=user, conversation__deleted_at=None)

    def for_prompt(self) -> MessageQuerySet:
        """Each with what a prompt and its measure need, and no more: a branch may be long."""
        figures = ("agent_id", "model", "prompt_tokens", "output_tokens", "context_length")
        return self.select_related("run").only("role", "text", "run_id", *(f"run__{name}" for name in figures))

    def with_run(self) -> MessageQuerySet:
        """Each with its agent and its run's figures."""
        return self.select_related("agent", "run__host").defer(*UNSHOWN)
