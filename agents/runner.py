"""The runner: one event loop in a thread of a worker process, on which all its generations stream."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog
import uvloop
from redis.exceptions import RedisError

from agents import leases, pulls, queue, runs
from agents.breaker import Breakers
from agents.generation import Generation, Hosts
from agents.livetext import LiveRun, Publisher
from agents.models import Run
from lobby import correlation
from lobby.database import in_database, in_database_patiently
from lobby.garbage import keep_what_is_there
from lobby.live.connections import async_redis

log = structlog.get_logger()

SNAPSHOT_SECONDS = 1.0
SLOW_SNAPSHOT_CHARACTERS = 100_000  # of text for every further second between two snapshots
CLOCK_MARGIN_MS = 5000  # how far this machine's clock may be ahead of Redis'


class Runner:
    """Start it once per process. `ring` and `stop` may be called from any thread."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="runner", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def ring(self) -> None:
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._doorbell.set)

    def stop(self, *, patience: float = 10.0) -> None:
        """Hand all runs back and leave."""
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(patience)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._doorbell, self._stopping = asyncio.Event(), asyncio.Event()
        self._line_changed = asyncio.Event()
        self._redis, self._listener = async_redis(), async_redis()
        self._publisher, self._breakers, self._hosts = Publisher(self._redis), Breakers(self._redis), Hosts()
        self._puller = pulls.Puller(self._breakers)
        self._live: dict[UUID, LiveRun] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._worker: UUID | None = None
        self._somebody_waits = True
        self._ready.set()
        loops = (
            self._publisher.work,
            self._keep_lease,
            self._claim_when_rung,
            self._listen,
            self._save_snapshots,
            self._tell_positions,
            self._pull,
        )
        tasks = [asyncio.create_task(_for_ever(loop)) for loop in loops]
        await self._stopping.wait()
        await self._leave(tasks)

    async def _leave(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await self._drop_all()
        if self._worker is not None:
            await in_database(leases.leave, self._worker)
            await in_database(runs.ring)
        await self._hosts.close()
        await self._redis.aclose()
        await self._listener.aclose()

    async def _drop_all(self) -> None:
        """Close every stream and write nothing: the runs are somebody else's now, or will be."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._puller.drop()

    # The lease

    async def _keep_lease(self) -> None:
        if self._worker is None:
            self._worker = (await in_database(leases.register)).pk
            await in_database(leases.reap)
            self._doorbell.set()
            self._puller.hear(pulls.DOORBELL)
        while True:
            cancelled = await in_database(leases.refresh, self._worker, running=list(self._live))
            if cancelled is None:
                log.warning("declared_dead", worker=str(self._worker), runs=len(self._live))
                self._worker = None
                await self._drop_all()
                return
            for run_id in cancelled:
                self._cancel(run_id)
            self._doorbell.set()  # for a doorbell that was lost
            await asyncio.sleep(leases.HEARTBEAT_SECONDS)

    # Claiming

    async def _claim_when_rung(self) -> None:
        while True:
            await self._doorbell.wait()
            self._doorbell.clear()
            if self._worker is None:
                continue
            waited, self._somebody_waits = self._somebody_waits, True  # perhaps: a slot that is free now may be missed
            gates = await self._breakers.load()
            while claimed := await in_database(
                queue.claim, worker=self._worker, cursor=_cursor_before_now(), gates=gates
            ):
                for run in claimed:
                    self._begin(run)
            waiting = await in_database(queue.fail_stranded, gates=gates)
            if waiting or waited:
                self._line_changed.set()
            self._somebody_waits = waiting > 0

    def _begin(self, run: Run) -> None:
        if run.worker != self._worker:
            return  # claimed for who we were before we were declared dead
        live = self._live[run.pk] = LiveRun(run)
        self._publisher.live_runs = len(self._live)
        self._tasks[run.pk] = asyncio.create_task(self._execute(live))

    async def _execute(self, live: LiveRun) -> None:
        run = live.run
        correlation.follow(run.request_id)
        generation = Generation(live, publisher=self._publisher, breakers=self._breakers, hosts=self._hosts)
        try:
            result = await generation.result()
            await self._publisher.settle(live)
            if await self._passed_on(run, generation):
                self._somebody_waits = True
            else:
                await in_database_patiently(runs.finish, run, **result)
        except Exception:  # the edge of a run: whatever it is, the run must not stay "running"
            log.exception("run_failed", run=str(run.pk))
            await in_database_patiently(runs.give_up, run, **_our_fault(live))
        finally:
            self._publisher.drop(live)
            self._live.pop(run.pk, None)
            self._tasks.pop(run.pk, None)
            self._publisher.live_runs = len(self._live)
            if self._somebody_waits:
                self._doorbell.set()

    async def _passed_on(self, run: Run, generation: Generation) -> bool:
        if not generation.may_go_elsewhere or run.host is None:
            return False
        return await in_database_patiently(runs.pass_on, run, failed_host=run.host)

    # What is told to all workers

    async def _listen(self) -> None:
        async with self._listener.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(runs.CHANNEL, pulls.CHANNEL)
            self._doorbell.set()  # for what was rung before we listened
            self._puller.hear(pulls.DOORBELL)
            async for message in pubsub.listen():
                if message["channel"].decode() == pulls.CHANNEL:
                    self._puller.hear(message["data"].decode())
                elif (data := message["data"].decode()) == runs.DOORBELL:
                    self._doorbell.set()
                else:
                    self._cancel(UUID(data))

    def _cancel(self, run_id: UUID) -> None:
        if live := self._live.get(run_id):
            live.cancelled.set()

    # What the database knows meanwhile

    async def _save_snapshots(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_SECONDS)
            due = [live for live in self._live.values() if _is_due(live)]
            if due:
                await in_database(runs.save_progress, [live.snapshot() for live in due])

    async def _tell_positions(self) -> None:
        while True:
            await self._line_changed.wait()
            self._line_changed.clear()
            if not await in_database(queue.tell_positions):
                self._line_changed.set()
            await asyncio.sleep(1.0)

    async def _pull(self) -> None:
        await self._puller.work(lambda: self._worker)


def _is_due(live: LiveRun) -> bool:
    if live.cursor == live.saved_cursor:
        return False
    now = time.monotonic()
    if now - live.saved_at < live.text.said_length / SLOW_SNAPSHOT_CHARACTERS:
        return False
    live.saved_at = now
    return True


def _cursor_before_now() -> str:
    return f"{int(time.time() * 1000) - CLOCK_MARGIN_MS}-0"


def _our_fault(live: LiveRun) -> dict[str, Any]:
    return {
        "error_kind": "internal",
        "error": "Something went wrong on our side; an admin finds it in the worker's log. Try again.",
        "text": live.text.whole(),
        "thinking": live.thinking.whole(),
    }


async def _for_ever(loop: Callable[[], Awaitable[None]]) -> None:
    """Keeps a loop going while Redis or the database are away."""
    while True:
        try:
            await loop()
        except RedisError as error:
            log.warning("redis_away", error=str(error))
        except Exception:  # the edge of the runner: it has to outlive whatever happens
            log.exception("runner_loop_failed", loop=loop.__name__)
        await asyncio.sleep(1.0)


_runner: Runner | None = None


def start() -> None:
    """In a worker process, once."""
    global _runner  # noqa: PLW0603  (one per process)
    if _runner is None:
        _runner = Runner()
        _runner.start()
        keep_what_is_there()


def ring() -> None:
    if _runner is not None:
        _runner.ring()


def stop() -> None:
    if _runner is not None:
        _runner.stop()
