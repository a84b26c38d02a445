"""Topics that are said anew while somebody listens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis.exceptions import RedisError

from lobby.live.hub import Hub
from lobby.live.outbox import Outbox
from lobby.live.topics import TOPICS, Topic


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    found = Hub(renew_every=0.01)
    yield found
    await found.close()


@pytest.fixture
def renewed() -> Iterator[list[str]]:
    """The ids of a kind of topic, each time that it is renewed."""
    calls: list[str] = []
    yield from _kind(calls.append, calls)


@pytest.fixture
def broken() -> Iterator[list[str]]:
    calls: list[str] = []

    def fail(ident: str) -> None:
        calls.append(ident)
        raise RedisError("away")

    yield from _kind(fail, calls)


def _kind(renew: Callable[[str], None], calls: list[str]) -> Iterator[list[str]]:
    TOPICS["clock"] = Topic(may_attach=lambda *_: True, snapshot=lambda _: {}, renew=renew)
    yield calls
    del TOPICS["clock"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  (nothing tells when it holds)
            await asyncio.sleep(0.01)


def renewing() -> bool:
    return any(task.get_coro().__name__ == "_renew" for task in asyncio.all_tasks())  # type: ignore[union-attr]


async def test_topic_is_renewed_while_somebody_listens_and_no_longer(hub: Hub, renewed: list[str]) -> None:
    first, second = Outbox(), Outbox()
    await hub.watch("clock:7", first)
    await hub.watch("clock:7", second)
    await until(lambda: len(renewed) > 2)

    hub.unwatch("clock:7", first)
    heard = len(renewed)
    await until(lambda: len(renewed) > heard)
    hub.unwatch("clock:7", second)
    await until(lambda: not renewing())

    assert set(renewed) == {"7"}


async def test_topics_without_renewal_cost_nothing(hub: Hub, renewed: list[str]) -> None:
    await hub.watch("user:1", Outbox())

    assert (renewing(), renewed) == (False, [])


async def test_renewal_goes_on_after_a_failure(hub: Hub, broken: list[str]) -> None:
    await hub.watch("clock:1", Outbox())

    await until(lambda: len(broken) > 1)


async def test_readers_are_counted_once_each(hub: Hub) -> None:
    first, second = Outbox(), Outbox()
    for topic, outbox in (("user:1", first), ("user:2", second), ("user:3", second)):
        await hub.watch(topic, outbox)

    assert hub.readers == 2
