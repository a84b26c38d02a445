"""Ports for servers that are told one instead of choosing it themselves."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def reserve(port: int = 0) -> socket.socket:
    """A loopback port that the system gives to nobody else while this socket is open.

    A port that was merely found free may be another test's by the time a server has started. This one is bound and
    does not listen: connections are refused, and a server that sets SO_REUSEADDR, as all of ours do, binds it too.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held


@contextmanager
def reserved(port: int = 0) -> Iterator[int]:
    with reserve(port) as held:
        yield held.getsockname()[1]
