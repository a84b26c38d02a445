"""The doors of the fake: Ollama's own, and `/fake/…` to script it and to ask what it saw."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import orjson

from tests.fake_ollama import recording
from tests.fake_ollama.checks import wrong_with
from tests.fake_ollama.connection import PLAIN, Connection, Request, date
from tests.fake_ollama.generation import Generation
from tests.fake_ollama.models import DEFAULT_CONTEXT, FakeModel, Memory, timestamp
from tests.fake_ollama.script import PullScript, Rule, Script
from tests.fake_ollama.stats import Stats

OWN_NAMES = {"127.0.0.1", "localhost", "::1"}


class Server:
    """Lives on one event loop; `FakeOllama` and the command line are its two shells."""

    def __init__(
        self,
        *,
        models: Iterable[FakeModel],
        cold: bool = False,
        slots: int | None = None,
        load_delay: float = 0.0,
        default: Script | None = None,
    ) -> None:
        self._at_first = list(models)
        self._cold = cold
        self._slots = slots
        self._load_delay = load_delay
        self._default = default or Script()
        self._connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0
        self.reset()

    def reset(self) -> None:
        """As it was born; open chats go on but are counted no more."""
        self.models = {model.name: model for model in self._at_first}
        self.memory = Memory(slots=self._slots, load_delay=self._load_delay)
        if not self._cold:
            self.memory.contexts = dict.fromkeys(self.models, DEFAULT_CONTEXT)
        self.stats = Stats()
        self.rules: deque[Rule] = deque()
        self.pulling = PullScript()
        self.replays: deque[tuple[recording.Recording, bool]] = deque()

    async def listen(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connect, "127.0.0.1", port or self.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    def _connect(self) -> Connection:
        self.stats.connections += 1
        return Connection(self.answer, everyone=self._connections)

    async def refuse(self, *, cut_open: bool = False) -> None:
        """Closes the door: connections are refused until `listen`; those that are open stay, or are cut too."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in [*self._connections] if cut_open else []:
            connection.cut(reset=True)

    async def close(self) -> None:
        await self.refuse()
        open_now = [*self._connections]
        for connection in open_now:
            connection.close()
        await asyncio.gather(*(connection.left.wait() for connection in open_now))

    async def answer(self, connection: Connection, request: Request) -> None:
        if request.path.startswith("/fake/"):
            await self._control(connection, request)
            return
        self.stats.requests[request.path] += 1
        if self.replays:
            recorded, timed = self.replays.popleft()
            await self._replay(recorded, connection, request, timed=timed)
        elif foreign(request):
            connection.head(403, {"Date": date(), "Content-Length": "0"})
        elif request.method == "POST":
            await self._post(connection, request)
        else:
            self._get(connection, request)

    async def _replay(
        self, recorded: recording.Recording, connection: Connection, request: Request, *, timed: bool
    ) -> None:
        try:
            await recording.play(recorded, connection, request, timed=timed)
        except asyncio.CancelledError:
            self.stats.disconnects += 1
            raise

    def add(self, rule: Rule) -> None:
        self.rules.appendleft(rule)

    def release(self) -> None:
        for rule in self.rules:
            rule.script.released.set()

    def _get(self, connection: Connection, request: Request) -> None:
        match request.path:
            case "/":
                words = "Ollama is running"
                connection.reply(200, "" if request.method == "HEAD" else words, content_type=PLAIN)
            case "/api/version":
                connection.reply(200, {"version": "0.12.0"})
            case "/api/tags":
                connection.reply(200, {"models": [model.tag() for model in self.models.values()]})
            case "/api/ps":
                loaded = self.memory.contexts.items()
                models = [self.models[name].loaded(num_ctx) for name, num_ctx in loaded]
                connection.reply(200, {"models": models})
            case "/api/chat" | "/api/show" | "/api/embed" | "/api/pull":
                connection.reply(405, "405 method not allowed", content_type=PLAIN)
            case _:
                connection.reply(404, "404 page not found", content_type=PLAIN)

    async def _post(self, connection: Connection, request: Request) -> None:
        if not request.body:
            connection.refuse(400, "missing request body")
            return
        try:
            body = request.json()
        except orjson.JSONDecodeError:
            connection.refuse(400, "unexpected EOF")
            return
        match request.path:
            case "/api/chat":
                await self._chat(connection, body)
            case "/api/show":
                self._show(connection, body)
            case "/api/embed":
                self._embed(connection, body)
            case "/api/pull":
                await self._pull(connection, body)
            case _:
                connection.reply(404, "404 page not found", content_type=PLAIN)

    async def _chat(self, connection: Connection, body: Any) -> None:
        if wrong := wrong_with(body, self.models):
            connection.refuse(*wrong)
            return
        if not body.get("messages"):
            await self._load(connection, body)
            return
        num_ctx = (body.get("options") or {}).get("num_ctx")
        if self.memory.would_refuse(body["model"], num_ctx):
            connection.refuse(503, "server busy, please try again.  maximum pending requests exceeded")
            return
        script = self._script_for(body)
        await Generation(connection, script, body, self.memory, self.stats, self.stats.opened(body)).play()

    async def _load(self, connection: Connection, body: dict[str, Any]) -> None:
        name = body["model"]
        if body.get("keep_alive") == 0:
            self.memory.contexts.pop(name, None)
            reason = "unload"
        else:
            await self.memory.load(name, (body.get("options") or {}).get("num_ctx"))
            reason = "load"
        message = {"role": "assistant", "content": ""}
        said = {"model": name, "created_at": timestamp(), "message": message}
        connection.reply(200, said | {"done": True, "done_reason": reason})

    def _script_for(self, body: dict[str, Any]) -> Script:
        for rule in self.rules:
            if rule.fits(body):
                if rule.times is not None:
                    rule.times -= 1
                return rule.script
        return self._default

    def _show(self, connection: Connection, body: Any) -> None:
        model = self.models.get(body.get("model", ""))
        if model is None:
            connection.refuse(404, f"model '{body.get('model')}' not found")
        else:
            connection.reply(200, model.shown())

    def _embed(self, connection: Connection, body: Any) -> None:
        model = self.models.get(body.get("model", ""))
        texts = body.get("input") or []
        if model is None:
            connection.refuse(404, f"model '{body.get('model')}' not found")
        elif texts and "embedding" not in model.capabilities:
            connection.refuse(501, "This server does not support embeddings. Start it with `--embeddings`")
        else:
            vectors = [vector(text) for text in ([texts] if isinstance(texts, str) else texts)]
            connection.reply(200, {"model": model.name, "embeddings": vectors})

    async def _pull(self, connection: Connection, body: Any) -> None:
        name = body.get("model")
        if not name:
            connection.refuse(400, "invalid model name")
            return
        connection.begin_chunks()
        self.stats.pulls_open += 1
        try:
            await self._play_pull(connection, name, self.pulling)
        except asyncio.CancelledError:
            self.stats.pulls_left += 1
            raise
        finally:
            self.stats.pulls_open -= 1

    async def _play_pull(self, connection: Connection, name: str, script: PullScript) -> None:
        def say(**step: Any) -> None:
            connection.chunk(orjson.dumps(step) + b"\n")

        say(status="pulling manifest")
        part = {"status": "pulling 941f309b54ca", "digest": "sha256:941f309b54ca", "total": script.total}
        for number in range(1, script.steps + 1):
            say(**part, completed=script.total * number // script.steps)
            await asyncio.sleep(0)
            if number == script.hold_after:
                await script.released.wait()
        if script.error:
            say(error=script.error)
        elif not script.missing_success:
            self.models[name] = FakeModel(name)
            say(status="success")
        connection.end_chunks()

    async def _control(self, connection: Connection, request: Request) -> None:
        try:
            connection.reply(200, await self._ordered(request))
        except (TypeError, KeyError, ValueError) as error:
            connection.refuse(400, f"the fake does not understand: {error!r}")

    async def _ordered(self, request: Request) -> Any:
        order = request.json() if request.body else {}
        match request.path:
            case "/fake/stats":
                self.stats.loads = self.memory.loads
                return self.stats.as_json()
            case "/fake/reset":
                self.reset()
            case "/fake/script":
                chosen = {name: order.pop(name) for name in ("model", "containing", "times") if name in order}
                self.add(Rule(Script(**order), **chosen))
            case "/fake/replay":
                self.replays.append((order["recording"], order.get("timed", False)))
            case "/fake/host":
                self.set_host(**order)
            case _:
                raise KeyError(request.path)
        return {"ok": True}

    def set_host(
        self,
        *,
        slots: int | None = None,
        load_delay: float | None = None,
        max_queue: int | None = None,
        unload: bool = False,
        refuse_for: float | None = None,
    ) -> None:
        """Changes what is given; `slots` 0 is without limit, `refuse_for` closes the door for so many seconds."""
        memory = self.memory
        if slots is not None:
            memory.set_slots(slots or None)
        memory.load_delay = memory.load_delay if load_delay is None else load_delay
        memory.max_queue = memory.max_queue if max_queue is None else max_queue
        if unload:
            memory.contexts.clear()
        if refuse_for is not None:
            self._later = asyncio.create_task(self._refuse_for(refuse_for))

    async def _refuse_for(self, seconds: float) -> None:
        await self.refuse()
        await asyncio.sleep(seconds)
        await self.listen()


def foreign(request: Request) -> bool:
    """Ollama's guard against other sites: its own names alone."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    origin = request.headers.get("origin")
    return host not in OWN_NAMES or (origin is not None and urlsplit(origin).hostname not in OWN_NAMES)


def vector(text: str) -> list[float]:
    """Eight numbers that are the same for the same text."""
    return [((crc32(text.encode()) >> (4 * place)) % 16) / 16 for place in range(8)]
