"""A circuit breaker per host, and per model on a host, shared by all workers through Redis.

`record` is pure; `Breakers` keeps the states. Connection failures, timeouts and 503 count against the host, a 500 that
repeats against the model on that host, the caller's faults against nobody (ollama.md, rule 10).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Literal
from uuid import UUID

import orjson
import redis.asyncio
from redis.exceptions import RedisError

Outcome = Literal["ok", "slow", "failed"]

WINDOW = 20  # outcomes
MINIMUM = 5
FAILED_SHARE = 0.5
SLOW_SHARE = 0.8
FIRST_PAUSE = 30.0  # seconds, doubled with every trip in a row
LONGEST_PAUSE = 300.0
PROBES = 2  # runs at once, and good outcomes needed, while half open
SLOW_SECONDS = 20.0  # to the first token of a loaded model

KEY = "lobby:breakers"


@dataclass(frozen=True, slots=True)
class State:
    """Closed while `open_until` is 0; open until then; half open afterwards. Times in seconds since 1970."""

    window: tuple[Outcome, ...] = ()
    open_until: float = 0.0
    trips: int = 0
    good_probes: int = 0
    is_slow: bool = False  # opened for slowness alone: throttled instead of shut
    reason: str = ""

    def is_open(self, now: float) -> bool:
        return now < self.open_until

    def slots(self, now: float) -> int | None:
        """Runs at once that are allowed; None: as many as the host takes."""
        if not self.open_until:
            return None
        return 0 if self.is_open(now) and not self.is_slow else PROBES


def record(state: State, outcome: Outcome, *, now: float, reason: str = "") -> State:
    if state.is_open(now):
        return state  # what was under way when it opened
    if state.open_until:
        return _probed(state, outcome, now=now, reason=reason)
    window = (*state.window, outcome)[-WINDOW:]
    failed, slow = window.count("failed"), window.count("slow")
    if len(window) >= MINIMUM and failed >= FAILED_SHARE * len(window):
        return _open(state, now=now, reason=reason, is_slow=False)
    if len(window) >= MINIMUM and slow + failed >= SLOW_SHARE * len(window):
        return _open(state, now=now, reason="It answers slowly.", is_slow=True)
    return replace(state, window=window)


def _probed(state: State, outcome: Outcome, *, now: float, reason: str) -> State:
    if outcome == "failed":
        return _open(state, now=now, reason=reason, is_slow=False)
    if outcome == "slow" and state.is_slow:
        return _open(state, now=now, reason=state.reason, is_slow=True)
    if state.good_probes + 1 < PROBES:
        return replace(state, good_probes=state.good_probes + 1)
    return State()


def _open(state: State, *, now: float, reason: str, is_slow: bool) -> State:
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**state.trips)
    return State(open_until=now + pause, trips=state.trips + 1, is_slow=is_slow, reason=reason)


class Breakers:
    """The states of all hosts and models, as one Redis hash. Without Redis every breaker counts as closed."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._one_at_a_time = asyncio.Lock()

    async def load(self) -> "Gates":
        try:
            states = await self._redis.hgetall(KEY)  # type: ignore[misc]
        except RedisError:
            return Gates({}, now=time.time())
        return gates_of(states)

    async def allow_probes(self, host: UUID) -> None:
        """The host is back: half open at once instead of at the end of its pause."""
        async with self._one_at_a_time:
            with suppress(RedisError):
                await self._change(str(host), lambda state, now: replace(state, open_until=min(state.open_until, now)))

    async def record(self, outcome: Outcome, *, host: UUID, model: str = "", reason: str = "") -> None:
        name = _name(host, model)
        async with self._one_at_a_time:
            with suppress(RedisError):  # one outcome less in the window
                await self._change(name, lambda state, now: record(state, outcome, now=now, reason=reason))

    async def _change(self, name: str, change: Callable[[State, float], State]) -> None:
        """Raises WatchError where another process changed it meanwhile."""
        async with self._redis.pipeline() as pipe:
            await pipe.watch(KEY)
            raw = await pipe.hget(KEY, name)  # type: ignore[misc]
            before = _decode(raw) if raw else State()
            after = change(before, time.time())
            if after == before:
                return
            pipe.multi()  # type: ignore[no-untyped-call]
            pipe.hset(KEY, name, orjson.dumps(asdict(after)).decode())
            await pipe.execute()


def gates_of(states: Mapping[bytes, bytes]) -> "Gates":
    """What the hash at KEY holds allows now."""
    return Gates({name.decode(): _decode(raw) for name, raw in states.items()}, now=time.time())


def _decode(raw: bytes) -> State:
    fields = orjson.loads(raw)
    return State(**{**fields, "window": tuple(fields["window"])})


def _name(host: UUID, model: str) -> str:
    return f"{host}/{model}" if model else str(host)


@dataclass(frozen=True, slots=True)
class Gates:
    """What the breakers allow at one moment."""

    states: Mapping[str, State]
    now: float

    def slots(self, host: UUID, most: int) -> int:
        state = self.states.get(str(host))
        allowed = state.slots(self.now) if state else None
        return most if allowed is None else min(most, allowed)

    def shut_models(self, host: UUID) -> set[str]:
        prefix = f"{host}/"
        return {
            name.removeprefix(prefix)
            for name, state in self.states.items()
            if name.startswith(prefix) and state.slots(self.now) == 0
        }

    def why_shut(self, host: UUID, model: str) -> str | None:
        """Words for people where the host takes no run of this model now, else None."""
        for name in (str(host), _name(host, model)):
            state = self.states.get(name)
            if state and state.slots(self.now) == 0:
                return f"{state.reason} It is tried again in {max(1, round(state.open_until - self.now))} s."
        return None
