"""One id from a browser's request to the model's answer.

A request has an id, which its answer tells in `X-Request-ID` and every error shows. Whatever it starts takes the id
along: a run keeps it in its row, a Celery message in its headers, a call of a model host in `X-Request-ID` again.
"""

from contextvars import ContextVar

HEADER = "X-Request-ID"

_request_id: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """The id of the request on whose behalf this is done; empty where nobody asked (beat, start-up)."""
    return _request_id.get()


def follow(known_id: str) -> None:
    """What this task or thread does from now on is done for that request."""
    _request_id.set(known_id)


def with_reference(words: str) -> str:
    """Of an error that is shown on the page that comes next, in the words of the answer that failed."""
    return f"{words} Reference {known}" if (known := request_id()) else words
