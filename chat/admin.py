from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from chat.models import Conversation
from lobby import audit
from lobby.site import ReadOnlyAdmin


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """Transcripts, to be read where there is a reason; each reading is recorded. The list shows nothing of them."""

    list_display = ["id", "owner", "agent", "message_count", "created_at", "updated_at", "deleted_at"]
    list_filter = ["agent"]
    list_select_related = ["owner", "agent"]
    search_fields = ["=id", "owner__username"]
    fields = ["owner", "agent", "title", "created_at", "updated_at", "deleted_at", "transcript"]
    readonly_fields = ["transcript"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        rows: QuerySet[Conversation] = super().get_queryset(request)
        return rows.annotate(message_count=Count("messages"))

    @admin.display(description="messages")
    def message_count(self, conversation: Any) -> int:
        count: int = conversation.message_count
        return count

    @admin.display(description="transcript")
    def transcript(self, conversation: Conversation) -> SafeString:
        """All branches, in the order in which they were written."""
        rows = conversation.messages.select_related("agent").order_by("created_at", "pk")
        said = (
            (f"{row.created_at:%Y-%m-%d %H:%M}", row.agent or conversation.owner, row.get_status_display(), row.text)
            for row in rows
        )
        return format_html_join("", "<p>{} <strong>{}</strong> ({})</p><pre>{}</pre>", said)

    def render_change_form(self, request: HttpRequest, context: Any, **form: Any) -> HttpResponse:
        conversation = form["obj"]
        audit.record("conversation.read", request=request, subject=conversation, owner=conversation.owner_id)
        page: HttpResponse = super().render_change_form(request, context, **form)
        return page
