"""Lines that are logged while a request is answered name it, and who asked."""

from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

Next = Callable[[HttpRequest], HttpResponse]

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def name_request(get_response: Next) -> Next:
    """Middleware. It costs next to nothing where no line is logged, so nearly always."""

    def middleware(request: HttpRequest) -> HttpResponse:
        before = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(before)

    return middleware


def add_request(_logger: Any, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: `request_id`, the same on all lines of a request, and `user_id`.

    Not the address: a one-time link is as good as a password.
    """
    request = _request.get()
    if request is not None:
        line["request_id"] = request.__dict__.setdefault("log_id", str(uuid4()))
        # Only if it was read already: a line in the log asks nothing of the database.
        line["user_id"] = getattr(getattr(request, "_cached_user", None), "pk", None)
    return line
