"""A chat page without a browser: it asks by HTTP and follows its topic on the socket, by the rules of live.js and
reply.js. Knows nothing of Django."""

import asyncio
import os
import socket
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

CSRF_TOKEN = "b" * 32  # one of our own making: Django compares the cookie with the header
RETRY_SECONDS = 0.25
AFRESH_SECONDS = 1.0  # between two times that a page asks for what the database knows
PATIENCE = 30.0  # seconds for one request
OVER = frozenset({"done", "failed", "cancelled", "interrupted"})
CREATED = 201

Cursor = tuple[int, int]


@dataclass(slots=True)
class Live:
    """One reply as the page has it. Times are monotonic seconds."""

    attempt: int = 0
    pieces: list[str] = field(default_factory=list)
    have: int = 0  # code points
    first: float | None = None
    last: float | None = None
    ended: float | None = None
    status: str = ""
    error_kind: str = ""
    frames: int = 0
    attempts: dict[int, float] = field(default_factory=dict)  # when each one's first text came
    fetched: bool = False  # the text is what the server had at the end, not what was heard
    over: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    speaking: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def restart(self, attempt: int) -> None:
        if self.attempt:
            self.pieces.clear()
            self.have = 0
        self.attempt = attempt

    def take(self, at: int, text: str) -> bool:
        """False: something between what there is and `at` was lost."""
        if at > self.have:
            return False
        if fresh := text[self.have - at :]:
            self.last = time.monotonic()
            self.first = self.first or self.last
            self.speaking.set()
            self.attempts.setdefault(self.attempt, self.last)
            self.pieces.append(fresh)
            self.have += len(fresh)
        return True

    def end(self, status: str, error_kind: str = "") -> None:
        self.status, self.error_kind = status, error_kind
        self.ended = self.ended or time.monotonic()
        self.over.set()


class Unreachable(Exception):
    """The server could not be reached, or said 5xx, for longer than a page tries."""


class Refusal(Exception):
    """The server answered, and not as asked."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who sits before the page: a session, and the conversation that is open."""

    session: str
    conversation: str

    @property
    def headers(self) -> dict[str, str]:
        cookies = f"sessionid={self.session}; csrftoken={CSRF_TOKEN}"
        return {"Cookie": cookies, "X-CSRFToken": CSRF_TOKEN, "Accept": "application/json"}


class Page:
    """`base` is the address of the web process; `lives` are the replies it has heard of, by run."""

    def __init__(self, http: aiohttp.ClientSession, person: Person, *, base: str) -> None:
        self.http = http
        self.person = person
        self.base = base
        self.topic = f"chat:{person.conversation}"
        self.lives: defaultdict[str, Live] = defaultdict(Live)
        self.messages: dict[str, str] = {}  # run → the message it writes
        self.cursor = ""
        self.attached = asyncio.Event()
        self.snapshots = 0
        self.gaps = 0
        self.server_errors = 0
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._fetching: set[asyncio.Task[None]] = set()
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and follow the topic from the last cursor on. Raises aiohttp.ClientError."""
        await self.connect()
        await self._attach(self.cursor)

    async def connect(self) -> None:
        """Without following anything yet. Raises aiohttp.ClientError."""
        headers = self.person.headers | {"Origin": self.base}
        self._socket = await self.http.ws_connect(f"{self.base}/ws/", headers=headers, max_msg_size=0)

    async def follow(self, topic: str) -> None:
        """Instead of the conversation's."""
        self.topic, self.cursor = topic, ""
        await self._attach("")

    async def listen(self) -> None:
        """Until the socket closes."""
        assert self._socket is not None  # noqa: S101 - for the type checker: `open` came first
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._hear(orjson.loads(message.data))

    @property
    def close_code(self) -> int | None:
        return None if self._socket is None else self._socket.close_code

    async def cancel(self, run: str) -> None:
        await self._send({"cancel": run})

    def cut(self) -> None:
        """The network goes: no closing handshake."""
        if self._socket is not None and (wire := self._socket.get_extra_info("socket")) is not None:
            with suppress(OSError), socket.socket(fileno=os.dup(wire.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def ask(self, text: str, *, within: float = 0.0) -> str:
        """The run that writes the reply. Tried again for `within` seconds with the same key, as a person would.

        Raises Unreachable, Refusal.
        """
        question = {"text": text, "key": str(uuid4())}
        path = f"conversations/{self.person.conversation}/messages"
        answer = await self.request("POST", path, question, within=within)
        run = str(answer["reply"]["run"])
        self.messages[run] = str(answer["reply"]["id"])
        return run

    def expect(self, run: str, message: str) -> None:
        """A reply that a snapshot may have left out, as it was over before the page knew of it: look once more."""
        self.messages[run] = message
        self.lives.setdefault(run, Live())
        self._afresh()

    async def refetch(self, run: str, *, within: float = 0.0) -> None:
        """What the page does for a reply that ended unheard: take it as the server has it."""
        message = await self.request("GET", f"messages/{self.messages[run]}", within=within)
        live = self.lives[run]
        if message["status"] in OVER and not live.over.is_set():
            live.pieces[:] = [message["text"]]
            live.fetched = True
            live.end(message["status"], message["error_kind"])

    async def request(self, method: str, path: str, body: Any = None, *, within: float = 0.0) -> Any:
        give_up = time.monotonic() + within
        while True:
            try:
                return await self._request_as_browsers_do(method, path, body)
            except (aiohttp.ClientError, TimeoutError, Unreachable) as error:
                if time.monotonic() > give_up:
                    raise Unreachable(f"{method} {path}: {error!r}") from error
            await asyncio.sleep(RETRY_SECONDS)

    async def _request_as_browsers_do(self, method: str, path: str, body: Any) -> Any:
        """They ask once more where the server closed a kept connection just as they used it."""
        try:
            return await self._request_once(method, path, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._request_once(method, path, body)

    async def _request_once(self, method: str, path: str, body: Any) -> Any:
        headers = self.person.headers | ({"Content-Type": "application/json"} if body is not None else {})
        data = None if body is None else orjson.dumps(body)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        url = f"{self.base}/api/{path}"
        async with self.http.request(method, url, data=data, headers=headers, timeout=timeout) as response:
            if response.status >= 500:  # noqa: PLR2004 - as HTTP has it
                self.server_errors += 1
                raise Unreachable(f"{response.status}: {(await response.text())[:200]}")
            if not response.ok:
                raise Refusal(f"{method} {path} got {response.status}: {(await response.text())[:500]}")
            return orjson.loads(await response.read())

    async def _hear(self, frame: dict[str, Any]) -> None:
        match frame:
            case {"topic": topic, "id": str(cursor), "event": event} if topic == self.topic:
                if event["type"] == "snapshot" or is_after(cursor, self.cursor):
                    self.cursor = cursor
                    await self._take(event)
            case {"error": {"kind": "live_away", "topic": topic}} if topic == self.topic:
                self._afresh()

    async def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "snapshot":
            self.snapshots += 1
            await self._catch_up(event["runs"])
            return
        if "run" not in event or not event["type"].startswith("run."):
            return
        live = self.lives[event["run"]]
        if event["attempt"] < live.attempt or live.over.is_set():
            return
        if event["attempt"] > live.attempt and event["type"] != "run.queued":
            live.restart(event["attempt"])
        match event["type"]:
            case "run.started":
                live.started.set()
            case "run.delta":
                live.frames += 1
                if not live.take(event["at"], event["text"]):
                    self.gaps += 1
                    self._afresh()
            case "run.ended":
                live.end(event["status"], event.get("error_kind", ""))

    async def _catch_up(self, runs: list[dict[str, Any]]) -> None:
        for run in runs:
            live = self.lives[run["run"]]
            if "message" in run:  # of a conversation
                self.messages[run["run"]] = run["message"]
            if run["attempt"] > live.attempt:
                live.restart(run["attempt"])
            if run["attempt"] == live.attempt and run["text"]:
                live.take(0, run["text"])
        self._fetch_ended(unfinished={run["run"] for run in runs})
        self.attached.set()

    def _fetch_ended(self, *, unfinished: set[str]) -> None:
        """A reply that is written no more ended while nobody listened."""
        for run, live in self.lives.items():
            if run in self.messages and run not in unfinished and not live.over.is_set():
                task = asyncio.create_task(self.refetch(run, within=PATIENCE))
                self._fetching.add(task)
                task.add_done_callback(self._fetching.discard)

    def _afresh(self) -> None:
        """Something was lost: what the database knows fills the gap, perhaps only when it next learns more."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._attach_afresh())

    async def _attach_afresh(self) -> None:
        await asyncio.sleep(max(0.0, self._asked_at + AFRESH_SECONDS - time.monotonic()))
        self._asked_at = time.monotonic()
        self.cursor = ""
        await self._attach("")

    async def _attach(self, after: str) -> None:
        await self._send({"attach": self.topic, "after": after})

    async def _send(self, frame: dict[str, Any]) -> None:
        if self._socket is not None and not self._socket.closed:
            with suppress(ConnectionError):
                await self._socket.send_str(orjson.dumps(frame).decode())


def is_after(cursor: str, other: str) -> bool:
    return not other or _parse(cursor) > _parse(other)


def _parse(cursor: str) -> Cursor:
    milliseconds, _, number = cursor.partition("-")
    return int(milliseconds), int(number)


def connections() -> aiohttp.ClientSession:
    """One pool for all pages of the process, without limit, cookies or time limits of its own."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout)
