"""Where somebody is signed in, for him to see and to end.

A row per session tells the browser, the address and when it was last seen; the session itself is Django's. Whether a
row still stands for a session is looked up, so that none has to be taken away when a session runs out.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from lobby import audit
from lobby.accounts.models import UserSession

Next = Callable[[HttpRequest], HttpResponse]

EVERY = timedelta(minutes=5).total_seconds()  # "last seen" is as exact as this
REMEMBERED = 10_000  # sessions that one process knows to have been written down lately

# The first mark that is found counts: nearly all call themselves Mozilla, Safari and Chrome as well.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "A Python program"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)

_noted: dict[str, float] = {}  # by the session's key: when, monotonic


def note(get_response: Next) -> Next:
    """Middleware: after the answer, as a sign-in or a sign-out may be what was asked for."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = request.session
        if session.accessed and SESSION_KEY in session:
            see(request)
        return response

    return middleware


def see(request: HttpRequest) -> None:
    """Write down that this session is in use, if that was not done just now."""
    key, now = request.session.session_key, time.monotonic()
    if key is None or _noted.get(key, now - EVERY) > now - EVERY:
        return
    if len(_noted) >= REMEMBERED:
        _noted.clear()
    _noted[key] = now
    row = UserSession(
        key=key,
        user_id=int(request.session[SESSION_KEY]),
        browser=request.headers.get("User-Agent", "").replace("\0", "")[:200],
        address=audit.client_address(request),
        seen_at=timezone.now(),
    )
    UserSession.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["key"], update_fields=["user", "browser", "address", "seen_at"]
    )


def begin(request: HttpRequest, user: Any) -> None:
    """Of a sign-in. Rows of sessions that are over go now."""
    see(request)
    UserSession.objects.filter(user=user).exclude(key__in=_alive()).exclude(key=request.session.session_key).delete()


def of(user: Any) -> QuerySet[UserSession]:
    """The sessions that are open, the one used last first."""
    return UserSession.objects.filter(user=user, key__in=_alive()).order_by("-seen_at")


def sign_out(rows: QuerySet[UserSession]) -> int:
    """End these sessions; how many there were. Whoever calls this tells the sockets (lobby/accounts/sessions.py)."""
    keys = list(rows.values_list("key", flat=True))
    ended = Session.objects.filter(session_key__in=keys).delete()[0]
    UserSession.objects.filter(key__in=keys).delete()
    for key in keys:
        _noted.pop(key, None)
    return ended


def describe(agent: str) -> str:
    """`Firefox on Linux`, as far as a browser tells."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "An unknown browser")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser


def _alive() -> Any:
    return Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
