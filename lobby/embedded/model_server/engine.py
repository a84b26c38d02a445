"""Which model is loaded and for how long: loading on demand, reloading for another context, unloading when idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from lobby.embedded.model_server.llama import Llama, connect

KEEP_ALIVE = 300.0  # seconds a model stays loaded after its last request


class Busy(Exception):
    """Too many requests wait for a load."""


@dataclass
class Loaded:
    llama: Llama
    keep_alive: float = KEEP_ALIVE
    users: int = 0
    is_leaving: bool = False  # nobody new; unloaded when the last user is done
    expires_at: datetime | None = None
    expiry: asyncio.TimerHandle | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, context: int) -> bool:
        return self.llama.context == context and self.llama.is_alive and not self.is_leaving


class Engine:
    def __init__(self, weights: Path, *, parallel: int, max_queue: int) -> None:
        self.weights = weights
        self.parallel = parallel
        self.max_queue = max_queue
        self.loaded: Loaded | None = None
        self._client: httpx.AsyncClient = connect()
        self._loading = asyncio.Lock()
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lease(self, *, context: int, keep_alive: float | None) -> AsyncIterator[Llama]:
        """The model with this context, loaded if need be; it stays while leased. Raises Busy, RunnerDied."""
        loaded = await self._find(context)
        loaded.users += 1
        loaded.idle.clear()
        self._stop_clock(loaded)
        if keep_alive is not None:
            loaded.keep_alive = keep_alive
        try:
            yield loaded.llama
        finally:
            self._give_back(loaded)

    async def _find(self, context: int) -> Loaded:
        if self.loaded and self.loaded.fits(context):
            return self.loaded
        if self._waiting >= self.max_queue:
            raise Busy
        self._waiting += 1
        try:
            async with self._loading:
                return await self._load(context)
        finally:
            self._waiting -= 1

    async def _load(self, context: int) -> Loaded:
        old = self.loaded
        if old and old.fits(context):  # whoever was before us has loaded it
            return old
        if old:
            old.is_leaving = True
            await self._until_idle(old)
            await self._unload(old)
        llama = await Llama.start(self.weights, context=context, parallel=self.parallel, client=self._client)
        self.loaded = Loaded(llama)
        return self.loaded

    async def _until_idle(self, loaded: Loaded) -> None:
        if loaded.users:
            await loaded.idle.wait()

    def _give_back(self, loaded: Loaded) -> None:
        loaded.users -= 1
        if loaded.users:
            return
        loaded.idle.set()
        if loaded.is_leaving or loaded.keep_alive <= 0:
            self._unload_soon(loaded)
            return
        loaded.expires_at = datetime.now(UTC) + timedelta(seconds=loaded.keep_alive)
        loop = asyncio.get_running_loop()
        loaded.expiry = loop.call_later(loaded.keep_alive, self._unload_soon, loaded)

    def _stop_clock(self, loaded: Loaded) -> None:
        if loaded.expiry:
            loaded.expiry.cancel()
            loaded.expiry = None

    def _unload_soon(self, loaded: Loaded) -> None:
        loaded.is_leaving = True
        task = asyncio.ensure_future(self._unload(loaded))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unload(self, loaded: Loaded) -> None:
        loaded.is_leaving = True
        self._stop_clock(loaded)
        if self.loaded is loaded:
            self.loaded = None
        await loaded.llama.stop()

    async def release(self) -> None:
        """Unload what is loaded: now if nobody uses it, else when the last one is done."""
        if not self.loaded:
            return
        self.loaded.keep_alive = 0
        if not self.loaded.users:
            await self._unload(self.loaded)

    async def close(self) -> None:
        if self.loaded:
            await self._unload(self.loaded)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks)
        await self._client.aclose()
