"""A page's socket, as a test speaks through it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from websockets.sync.client import ClientConnection, connect

BACKEND = "django.contrib.auth.backends.ModelBackend"


def sign_in(user: User) -> str:
    """The key of a session in which this user is signed in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    assert session.session_key is not None
    return session.session_key


@contextmanager
def socket(url: str, *, session: str = "", origin: str | None = "") -> "Iterator[Socket]":
    headers = {"Cookie": f"sessionid={session}"} if session else {}
    address = url.replace("http:", "ws:") + "/ws/"
    asked: Any = {"origin": url if origin == "" else origin, "additional_headers": headers}
    with connect(address, **asked, max_size=None, open_timeout=60, ping_interval=None) as wire:
        yield Socket(wire)


class Socket:
    def __init__(self, wire: ClientConnection) -> None:
        self.wire = wire

    def send(self, **frame: Any) -> None:
        self.wire.send(orjson.dumps(frame).decode())

    def receive(self, *, seconds: float = 60) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.wire.recv(timeout=seconds))
        return found

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """All frames up to the first that fits, that one included."""
        frames = []
        while True:
            frames.append(self.receive())
            if condition(frames[-1]):
                return frames


def is_event(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda frame: frame.get("event", {}).get("type") == kind
