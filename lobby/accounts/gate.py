"""Who must have a second factor and has none sets one up before he does anything else in a session.

A sign-in sees to that by itself (stages.py). These are the sessions that were open when LOBBY_REQUIRE_MFA was switched
on, when somebody became staff, or when his second factor was taken away. Keys are no sessions: they go on.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from lobby.accounts import second_factor
from lobby.database import in_database
from lobby.problems import problem

Next = Callable[[HttpRequest], HttpResponse]
Door = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

OPEN = ("second-factor", "confirm", "sign-out")
WORDS = "You must have a second factor here now. Set one up first: everything else waits for it."


def have_set_up(get_response: Next) -> Next:
    """Middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.REQUIRE_MFA == "no" or _brings_key(request) or not second_factor.lacks(request.user):
            return get_response(request)
        if request.path_info in _open():
            return get_response(request)
        if request.path_info.startswith("/api/") or not _is_navigation(request):
            return problem(403, WORDS, kind="second_factor_required")
        messages.warning(request, WORDS)
        return redirect("second-factor")

    return middleware


def admit(inside: Door) -> Door:
    """The same for what is ASGI: sockets and event streams take him for nobody."""

    async def door(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if settings.REQUIRE_MFA != "no" and await in_database(second_factor.lacks, scope["user"]):
            scope = {**scope, "user": AnonymousUser()}
        await inside(scope, receive, send)

    return door


def _brings_key(request: HttpRequest) -> bool:
    """The REST API looks at no cookie then (bearer.py)."""
    return request.path_info.startswith("/api/") and request.headers.get("Authorization", "").lower().startswith(
        "bearer"
    )


def _is_navigation(request: HttpRequest) -> bool:
    """And not a part of a page that one of our scripts asks for, which would take the other page for it."""
    return request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


@cache
def _open() -> frozenset[str]:
    return frozenset(map(reverse, OPEN))
