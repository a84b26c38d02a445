"""A scripted Ollama: a real HTTP server on loopback that speaks the protocol, fails on demand and counts.

    with FakeOllama(models=["llama3"]) as fake:
        fake.script(tokens=200, rate=50)                 # every reply from now on
        fake.script(status=503, times=2)                 # but first two refusals
        ... Client(fake.url) ...
        await fake.until(lambda stats: stats.open_now == 0)

or as a process, with the same orders over HTTP (`POST /fake/script`, `/fake/host`, `/fake/replay`, `/fake/reset`,
`GET /fake/stats`):

    python -m tests.fake_ollama --port 0 --rate 50 --tokens 200
"""

import asyncio
import copy
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from tests.fake_ollama.models import FakeModel
from tests.fake_ollama.recording import Recording, load_recording, recording_names, request_body
from tests.fake_ollama.script import PullScript, Rule, Script, expected_text, expected_thinking, token
from tests.fake_ollama.server import Server
from tests.fake_ollama.stats import Stats, StreamSeen

__all__ = [
    "FakeModel",
    "FakeOllama",
    "PullScript",
    "Recording",
    "Script",
    "Server",
    "Stats",
    "StreamSeen",
    "as_models",
    "expected_text",
    "expected_thinking",
    "load_recording",
    "recording_names",
    "request_body",
    "token",
]

T = TypeVar("T")

DEFAULT_MODELS = ("fake:latest",)
LOOK_EVERY = 0.005


class FakeOllama:
    """The fake in a thread of its own. Its methods may be called from any thread."""

    def __init__(
        self,
        models: Iterable[str | FakeModel] = DEFAULT_MODELS,
        *,
        cold: bool = False,
        slots: int | None = None,
        load_delay: float = 0.0,
    ) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-ollama", daemon=True)
        self._server = Server(models=as_models(models), cold=cold, slots=slots, load_delay=load_delay)

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def stats(self) -> Stats:
        """A copy of what it saw up to now."""
        return self._run(self._look())

    def script(
        self,
        script: Script | None = None,
        *,
        model: str | None = None,
        containing: str | None = None,
        times: int | None = None,
        **fields: Any,
    ) -> None:
        """Orders replies: a `Script` or its fields, for one model, for messages that contain a text, or `times` times.

        The newest order that fits a request wins.
        """
        rule = Rule(script or Script(**fields), model=model, containing=containing, times=times)
        self._call(self._server.add, rule)

    def release(self) -> None:
        """Replies that stand still at their `hold_after` go on, and none holds any more."""
        self._call(self._server.release)

    def replay(self, recording: Recording, *, timed: bool = False) -> None:
        """The next request, whatever it asks, gets this recorded answer. Orders queue up."""
        self._call(self._server.replays.append, (recording, timed))

    def script_pulls(self, **fields: Any) -> None:
        """How pulls go from now on: the fields of a `PullScript`."""
        self._run(self._script_pulls(PullScript(**fields)))

    def release_pulls(self) -> None:
        self._call(lambda: self._server.pulling.released.set())

    def set_host(self, **changes: Any) -> None:
        """`slots` (0: no limit), `load_delay`, `max_queue`, `unload`, `refuse_for`."""
        self._run(self._set_host(**changes))

    def reset(self) -> None:
        self._call(self._server.reset)

    def refuse(self, *, cut_open: bool = False) -> None:
        self._run(self._server.refuse(cut_open=cut_open))

    def listen(self) -> None:
        """On the same port as before."""
        self._run(self._server.listen())

    async def until(self, condition: Callable[[Stats], bool], *, within: float = 60.0) -> Stats:
        """What it saw when `condition` held; for coroutines, since clients need their loop meanwhile."""
        deadline = time.monotonic() + within
        while not condition(stats := self.stats):
            assert time.monotonic() < deadline, f"not so after {within} s: {stats}"
            await asyncio.sleep(LOOK_EVERY)
        return stats

    def wait_until(self, condition: Callable[[Stats], bool], *, within: float = 60.0) -> Stats:
        """`until` for threads without a loop."""
        deadline = time.monotonic() + within
        while not condition(stats := self.stats):
            assert time.monotonic() < deadline, f"not so after {within} s: {stats}"
            time.sleep(LOOK_EVERY)
        return stats

    async def _look(self) -> Stats:
        self._server.stats.loads = self._server.memory.loads
        return copy.deepcopy(self._server.stats)

    async def _script_pulls(self, script: PullScript) -> None:
        self._server.pulling = script

    async def _set_host(self, **changes: Any) -> None:
        self._server.set_host(**changes)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        async def call() -> None:
            function(*arguments)

        self._run(call())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)


def as_models(models: Iterable[str | FakeModel]) -> list[FakeModel]:
    return [model if isinstance(model, FakeModel) else FakeModel(model) for model in models]
