"""TCP servers for tests that need one which misbehaves, or just one that keeps what it got."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread


@dataclass
class Listener:
    host: str
    port: int
    heard: list[bytes] = field(default_factory=list)  # whole requests, as they came
    over: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


Answer = Callable[[socket.socket, Listener], None]


def replying(raw: bytes) -> Answer:
    """Reads one request and sends these bytes."""

    def answer(line: socket.socket, listener: Listener) -> None:
        listener.heard.append(read_request(line))
        line.sendall(raw)

    return answer


def silent(line: socket.socket, listener: Listener) -> None:
    """Takes the connection and says nothing, for as long as the test lasts."""
    listener.over.wait()


def endless(head: bytes, piece: bytes = b"x" * 1000) -> Answer:
    """Sends `head`, then `piece` again and again until the other side has enough."""

    def answer(line: socket.socket, listener: Listener) -> None:
        listener.heard.append(read_request(line))
        line.sendall(head)
        while not listener.over.is_set():
            line.sendall(piece)

    return answer


def dripping(line: socket.socket, listener: Listener) -> None:
    """Begins to answer, a byte at a time, and never comes to the end of a line."""
    line.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not listener.over.wait(0.02):
        line.sendall(b"x")


def read_request(line: socket.socket) -> bytes:
    """Head and body, as long as Content-Length says."""
    read = b""
    while b"\r\n\r\n" not in read:
        if not (more := line.recv(65536)):
            return read
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(each.partition(b":")[2]) for each in lines if each.startswith(b"content-length:")), 0)
    while len(body) < length and (more := line.recv(65536)):
        body += more
    return head + b"\r\n\r\n" + body


@contextmanager
def listening(answer: Answer, *, host: str = "127.0.0.1") -> Iterator[Listener]:
    with socket.create_server((host, 0)) as server:
        listener = Listener(host, server.getsockname()[1])
        taking = Thread(target=_take, args=(server, answer, listener), daemon=True)
        taking.start()
        try:
            yield listener
        finally:
            listener.over.set()
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            taking.join()


def _take(server: socket.socket, answer: Answer, listener: Listener) -> None:
    talking: list[Thread] = []
    while True:
        try:
            line, _ = server.accept()
        except OSError:  # closed
            break
        talking.append(Thread(target=_talk, args=(line, answer, listener), daemon=True))
        talking[-1].start()
    for thread in talking:
        thread.join()


def _talk(line: socket.socket, answer: Answer, listener: Listener) -> None:
    with line, suppress(OSError):  # who hangs up in the middle is part of the test
        answer(line, listener)
