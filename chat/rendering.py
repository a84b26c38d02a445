"""A message's HTML: rendered once, kept with it."""

from django.utils.safestring import SafeString, mark_safe

from chat.models import Message
from lobby.markdown import render

NOTHING = "<p></p>"  # of a text that shows nothing, as a definition of a link alone: rendered all the same


def html_of(message: Message) -> SafeString:
    """The message's text as HTML: as it was rendered, or rendered now and kept if the text is still the same."""
    if not message.html and message.text:
        message.html = render(message.text) or NOTHING
        Message.objects.filter(pk=message.pk, text=message.text).update(html=message.html)
    return mark_safe(message.html)  # noqa: S308  (nothing is stored there but what render returns)
