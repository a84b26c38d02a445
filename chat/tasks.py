from datetime import timedelta
from uuid import UUID

import structlog
from celery import shared_task
from django.db.models.functions import Now

from chat import conversations, rendering
from chat.events import say_message
from chat.models import Message

log = structlog.get_logger()

KEPT = timedelta(days=30)  # in the bin


@shared_task
def render_reply(message_id: str) -> None:
    """Render what was said as HTML and tell the pages; a text that changed meanwhile is not ours to render."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        return
    rendering.html_of(message)
    say_message(message)


def ask_to_render(message_id: UUID) -> None:
    try:
        render_reply.delay(str(message_id))
    except render_reply.OperationalError as error:  # whoever opens the page renders it then
        log.warning("render_not_heard", message=str(message_id), error=str(error))


@shared_task
def empty_bin() -> None:
    conversations.forget(before=Now() - KEPT)
