"""`Authorization: Bearer lob_…`: the door of the REST API for programs, beside the session of a browser."""

from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security import HttpBearer, SessionAuth

from lobby.accounts import attempts, keys
from lobby.accounts.models import ApiKey
from lobby.audit import client_address
from lobby.database import in_database
from lobby.live.sse import say_problem

SAFE = {"GET", "HEAD", "OPTIONS"}
ONLY_SIGNED_IN = "This can be done on the web page only, not with a key."

# The first part of an operation's address (or its first two) → the scope it takes to read there, and to change
# something. None: it is done on the page only. A key opens nothing that is missing here, and a test fails.
SCOPES_OF: dict[str, tuple[str | None, str | None]] = {
    "agents": ("read", None),
    "runs": ("read", "chat"),
    "conversations": ("read", "chat"),
    "messages": ("read", "chat"),
    "debates": ("read", "debate"),
    "topics": ("read", None),
    "dashboard": ("admin", "admin"),
    "audit": ("admin", "admin"),
    "me": ("read", None),
    "me/keys": (None, None),  # a key makes no keys,
    "me/sessions": (None, None),  # signs nobody out, nor tells where else somebody is,
    "invitations": (None, None),  # and lets nobody in
}


class WrongKey(AuthenticationError):
    """The same for what never was a key, is none any more, or belongs to somebody who may not come in."""

    def __init__(self) -> None:
        super().__init__(message="This key is not valid, or not any more.")


class Key(HttpBearer):
    """Where the header is, it alone counts: cookies are not looked at, and no CSRF token is needed."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey:
        row = admit(token, scope=scope_of(request), address=client_address(request))
        request.user = row.user
        return row


class Session(SessionAuth):
    """The browser's cookie, with the CSRF token where something changes. Alone: not for keys."""

    def __call__(self, request: HttpRequest) -> Any:
        if _token(request.headers.get("Authorization", "")) is not None:
            raise PermissionDenied(ONLY_SIGNED_IN)
        return super().__call__(request)


def scope_of(request: HttpRequest) -> str | None:
    """What the operation that was found takes; None: no key opens it."""
    route = request.resolver_match.route if request.resolver_match else ""
    reading, changing = SCOPES_OF.get(noun_of(route), (None, None))
    return reading if request.method in SAFE else changing


def noun_of(route: str) -> str:
    """What stands for it in SCOPES_OF, if anything does."""
    parts = route.strip("/").removeprefix("api/").split("/")
    pair = "/".join(parts[:2])
    return pair if pair in SCOPES_OF else parts[0]


def admit(token: str, *, scope: str | None, address: str | None) -> ApiKey:
    """Raises WrongKey, TooManyAttempts (an address that sent many wrong ones; right ones still pass),
    PermissionDenied."""
    row = keys.find(token)
    if row is None:
        attempts.count_wrong_key(address=address)
        raise WrongKey
    keys.note_use(row)
    if scope is None:
        raise PermissionDenied(ONLY_SIGNED_IN)
    if scope not in row.scopes:
        raise PermissionDenied(f"This key may not do that: it takes the scope “{scope}”.")
    return row


Door = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def or_key(by_session: Door, inside: Door) -> Door:
    """The same for an event stream, which is ASGI: `inside` for who brings a key, for all others `by_session`."""

    async def door(scope: dict[str, Any], receive: Any, send: Any) -> None:
        token = _token(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"))
        if token is None:
            await by_session(scope, receive, send)
        elif row := await _admit_to_stream(token, scope, send):
            await inside({**scope, "user": row.user, "may_go_on": partial(keys.works, row.pk)}, receive, send)

    return door


async def _admit_to_stream(token: str, scope: dict[str, Any], send: Any) -> ApiKey | None:
    try:
        return await in_database(admit, token, scope=SCOPES_OF["topics"][0], address=_address(scope))
    except WrongKey as error:
        await say_problem(send, 401, error.message)
    except attempts.TooManyAttempts as error:
        await say_problem(send, 429, str(error), retry_after=error.retry_after)
    except PermissionDenied as error:
        await say_problem(send, 403, str(error))
    return None


def _token(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _address(scope: dict[str, Any]) -> str | None:
    try:
        return str(ip_address((scope.get("client") or [""])[0]))
    except ValueError:
        return None
