from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from chat.models import Conversation, Message
from lobby.site import FoundByOwner, ReadingRecorded


@admin.register(Conversation)
class ConversationAdmin(FoundByOwner, ReadingRecorded):
    """Transcripts, to be read where there is a reason; each reading is recorded. The list shows nothing of them."""

    list_display = ["short_id", "owner", "agent", "message_count", "created_at", "updated_at", "deleted_at"]
    list_filter = ["agent", "updated_at"]
    list_select_related = ["owner", "agent"]
    ordering = ["-updated_at"]
    sortable_by = ["updated_at"]
    fields = ["owner", "agent", "title", ("created_at", "updated_at", "deleted_at"), "transcript"]
    readonly_fields = ["transcript"]

    def complete(self, rows: list[Any]) -> None:
        counted = Message.objects.filter(conversation__in=rows).order_by().values_list("conversation")
        numbers = dict(counted.annotate(number=Count("*")))
        for conversation in rows:
            conversation.number = numbers.get(conversation.pk, 0)

    @admin.display(description="messages")
    def message_count(self, conversation: Any) -> int:
        return int(conversation.number)

    @admin.display(description="transcript")
    def transcript(self, conversation: Conversation) -> SafeString:
        """All branches, in the order in which they were written."""
        rows = conversation.messages.select_related("agent").order_by("created_at", "pk")
        said = (
            (f"{row.created_at:%Y-%m-%d %H:%M}", row.agent or conversation.owner, _how_it_ended(row), row.text)
            for row in rows
        )
        articles = format_html_join("", "<article><h2>{} <b>{}</b>{}</h2><pre>{}</pre></article>", said)
        return SafeString('<div class="lobby-said">') + articles + SafeString("</div>")


def _how_it_ended(message: Message) -> str:
    return "" if message.status == Message.Status.DONE else f" ({message.get_status_display()})"
