from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from chat.models import Conversation, Message  # noqa: F401  (named by the generics below)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: Any) -> ConversationQuerySet:
        if not user.is_authenticated:
            return self.none()
        return self.filter(owner=user, deleted_at=None)


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: Any) -> MessageQuerySet:
        if not user.is_authenticated:
            return self.none()
        return self.filter(conversation__owner=user, conversation__deleted_at=None)
