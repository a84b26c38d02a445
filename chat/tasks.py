from datetime import timedelta
from uuid import UUID

import structlog
from celery import shared_task
from django.conf import settings
from django.db.models.functions import Now

from chat import conversations, rendering
from chat.events import say_message
from chat.models import UNRENDERED, Message

log = structlog.get_logger()

MOST_AT_ONCE = 100  # replies


@shared_task
def render_reply(message_id: str) -> None:
    """Render what was said as HTML and tell the pages; a text that changed meanwhile is not ours to render."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        return
    rendering.html_of(message)
    say_message(message)


@shared_task
def render_missed() -> None:
    """What a lost message to the workers left as plain text."""
    ids = Message.objects.filter(UNRENDERED).order_by("created_at").values_list("pk", flat=True)
    for id in list(ids[:MOST_AT_ONCE]):
        ask_to_render(id)  # each by itself: one that cannot be rendered keeps no other waiting


def ask_to_render(message_id: UUID) -> None:
    try:
        render_reply.delay(str(message_id))
    except render_reply.OperationalError as error:  # whoever opens the page renders it then
        log.warning("render_not_heard", message=str(message_id), error=str(error))


@shared_task
def empty_bin() -> None:
    if settings.KEEP_DELETED:
        conversations.forget(before=Now() - timedelta(days=settings.KEEP_DELETED))
