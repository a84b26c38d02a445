"""Lines of the log name the request on whose behalf they were written, and who asked; no secret is in any."""

import re
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from lobby import traces
from lobby.correlation import HEADER, follow, request_id
from lobby.redaction import redact

Next = Callable[[HttpRequest], HttpResponse]

ACCEPTABLE = re.compile(r"[A-Za-z0-9_-]{8,36}\Z")

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def new_id(given: str = "") -> str:
    """The one a proxy gave if it looks like one, else that of the trace, else a new one."""
    return given if ACCEPTABLE.match(given) else traces.trace_id() or uuid4().hex


def name_request(get_response: Next) -> Next:
    """Middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        known = new_id(request.headers.get(HEADER, ""))
        before = _request.set(request)
        follow(known)
        try:
            response = get_response(request)
            response[HEADER] = known
            return response
        finally:
            _request.reset(before)
            follow("")

    return middleware


def add_request(_logger: Any, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: `request_id`, the same on all lines of a request, and `user_id`.

    Not the address: a one-time link is as good as a password.
    """
    if known := request_id():
        line.setdefault("request_id", known)
    if (request := _request.get()) is not None:
        # Only if it was read already: a line in the log asks nothing of the database.
        line["user_id"] = getattr(getattr(request, "_cached_user", None), "pk", None)
    return line


def hide_secrets(_logger: Any, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog, the last before the line is written."""
    return redact(dict(line))  # type: ignore[no-any-return]
