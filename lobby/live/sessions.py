"""Whether whoever listens still may: said on his own topic when that may have changed, and looked up each minute."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

RECHECK_SECONDS = 60
ENDED = '"session.ended"'


def own_topic(user: Any) -> str:
    return f"user:{user.pk}"


def is_end(frame: str) -> bool:
    """A frame that says that a session of this user has ended, or that his rights have changed."""
    return frame.startswith('{"topic":"user:') and ENDED in frame


def is_signed_in(session: Any, user: Any) -> bool:
    """Asked of the session's store, not of what a socket remembers."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session.session_key)
    found = get_user(request)
    return bool(found.is_authenticated and found.is_active and found.pk == user.pk)
