"""The models a fake host has: on disk, in memory, and the slots in which they answer."""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

DEFAULT_CONTEXT = 4096
DIGEST = "fd5f44c0b5aff6453726119fc560d73a8a995a55b4a49804bc24b1969ecf1794"


@dataclass(frozen=True, slots=True)
class FakeModel:
    name: str
    capabilities: tuple[str, ...] = ("completion",)
    context_length: int = 8192
    size: int = 98_362_745

    def details(self) -> dict[str, Any]:
        return {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "134.52M",
            "quantization_level": "Q4_1",
        }

    def tag(self) -> dict[str, Any]:
        lengths = {"context_length": self.context_length, "embedding_length": 576}
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": timestamp(),
            "size": self.size,
            "digest": DIGEST,
            "details": self.details() | lengths,
            "capabilities": list(self.capabilities),
        }

    def loaded(self, num_ctx: int) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.name,
            "size": self.size * 2,
            "digest": DIGEST,
            "details": self.details(),
            "expires_at": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
            "size_vram": 0,
            "context_length": num_ctx,
        }

    def shown(self) -> dict[str, Any]:
        return {
            "modelfile": f"FROM {self.name}\n",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": self.details(),
            "model_info": {"general.architecture": "llama", "llama.context_length": self.context_length},
            "capabilities": list(self.capabilities),
            "modified_at": timestamp(),
        }


class Memory:
    """Loads models, with one load of a model at a time, and hands out its slots in the order of asking."""

    def __init__(self, *, slots: int | None = None, load_delay: float = 0.0) -> None:
        self.slots = slots
        self.load_delay = load_delay
        self.max_queue = 512
        self.contexts: dict[str, int] = {}
        self.loads = 0
        self._loading: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting_for_load = 0
        self._taken: Counter[str] = Counter()
        self._queues: dict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    def would_refuse(self, model: str, num_ctx: int | None) -> bool:
        """OLLAMA_MAX_QUEUE counts only those who wait for a load."""
        return self._must_load(model, num_ctx) and self._waiting_for_load >= self.max_queue

    async def load(self, model: str, num_ctx: int | None) -> float:
        """Seconds that it took; another context than the loaded one loads again."""
        began = time.monotonic()
        if not self._must_load(model, num_ctx):
            return 0.0
        self._waiting_for_load += 1
        try:
            async with self._loading[model]:
                if self._must_load(model, num_ctx):
                    await asyncio.sleep(self.load_delay)
                    self.contexts[model] = num_ctx or DEFAULT_CONTEXT
                    self.loads += 1
        finally:
            self._waiting_for_load -= 1
        return time.monotonic() - began

    @asynccontextmanager
    async def slot(self, model: str) -> AsyncIterator[None]:
        if self._free(model):
            self._taken[model] += 1
        else:
            await self._wait_for_turn(model)
        try:
            yield
        finally:
            self._release(model)

    def set_slots(self, slots: int | None) -> None:
        self.slots = slots
        for model in self._queues:
            self._hand_out(model)

    async def _wait_for_turn(self, model: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._queues[model].append(turn)
        try:
            await turn  # who hands it out has counted the slot as taken
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queues[model].remove(turn)
            else:
                self._release(model)
            raise

    def _release(self, model: str) -> None:
        self._taken[model] -= 1
        self._hand_out(model)

    def _hand_out(self, model: str) -> None:
        queue = self._queues[model]
        while queue and self._free(model):
            turn = queue.popleft()
            if not turn.done():
                self._taken[model] += 1
                turn.set_result(None)

    def _free(self, model: str) -> bool:
        return self.slots is None or self._taken[model] < self.slots

    def _must_load(self, model: str, num_ctx: int | None) -> bool:
        loaded = self.contexts.get(model)
        return loaded is None or (num_ctx is not None and num_ctx != loaded)


def timestamp() -> str:
    """As Go writes it: UTC with nanoseconds."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
