"""HTTP on its way from the ASGI server to a WSGI application in a thread, and back."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from lobby.door import PART, Door

LONGEST = 1000


class Wire:
    """What the server gives, and what it is told to send."""

    def __init__(self, *pieces: bytes, left: bool = False, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.to_read = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if left:
            self.to_read.append({"type": "http.disconnect"})
        elif self.to_read:
            self.to_read[-1]["more_body"] = False
        self.sent: list[dict[str, Any]] = []
        self.headers = list(headers)

    async def receive(self) -> dict[str, Any]:
        return self.to_read.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


async def pass_through(application: Any, wire: Wire) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "headers": wire.headers,
    }
    await Door(application, threads=1, longest=LONGEST)(scope, wire.receive, wire.send)


def echo(asked: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    body = asked["wsgi.input"].read(int(asked["CONTENT_LENGTH"]))
    start("201 Created", [("X-Length", asked["CONTENT_LENGTH"]), ("Set-Cookie", " a=b")])
    return [body]


async def test_body_in_pieces_comes_whole_and_the_answer_goes_back() -> None:
    wire = Wire(b"one ", b"two")
    await pass_through(echo, wire)
    assert wire.sent == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"x-length", b"7"), (b"set-cookie", b"a=b")],
        },
        {"type": "http.response.body", "body": b"one two", "more_body": False},
    ]


async def test_who_leaves_before_the_end_of_the_question_asked_nothing() -> None:
    asked: list[Any] = []
    wire = Wire(b"half of", left=True)
    await pass_through(lambda *given: asked.append(given), wire)
    assert (asked, wire.sent) == ([], [])


async def test_body_that_is_announced_as_too_long_is_not_read() -> None:
    lengths: list[str] = []

    def refuse(asked: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        lengths.append(asked["CONTENT_LENGTH"])
        start("413 Content Too Large", [])
        return []

    wire = Wire(b"x" * 2000, headers=[(b"content-length", b"2000")])
    await pass_through(refuse, wire)
    assert (lengths, wire.sent[0]["status"], len(wire.to_read)) == (["2000"], 413, 1)


async def test_body_without_a_length_is_read_no_further_than_it_may_be_long() -> None:
    wire = Wire(*[b"x" * 600] * 5)
    await pass_through(echo, wire)
    assert (wire.sent[0]["headers"][0], len(wire.to_read)) == ((b"x-length", b"1200"), 3)


async def test_long_answer_goes_in_parts_and_is_closed_in_the_thread_that_made_it() -> None:
    answer = LongAnswer(chunks=5)
    wire = Wire(b"")
    await pass_through(answer.begin, wire)
    assert wire.body == b"x" * (5 * PART // 2)
    assert [message.get("more_body") for message in wire.sent] == [None, True, True, False]
    assert (answer.threads, threading.current_thread().name in answer.threads) == ({"http_0"}, False)


class LongAnswer:
    def __init__(self, *, chunks: int) -> None:
        self.chunks = chunks
        self.threads: set[str] = set()

    def begin(self, asked: dict[str, Any], start: Callable[..., Any]) -> "LongAnswer":
        start("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.chunks):
            yield b"x" * (PART // 2)

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)


async def test_answer_that_breaks_is_closed_and_the_server_told() -> None:
    class Broken(LongAnswer):
        def __iter__(self) -> Iterator[bytes]:
            raise OSError("the file is gone")

    answer = Broken(chunks=1)
    with pytest.raises(OSError, match="the file is gone"):
        await pass_through(answer.begin, Wire(b""))
    assert answer.threads == {"http_0"}
