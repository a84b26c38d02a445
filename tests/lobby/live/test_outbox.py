import asyncio

import orjson
import pytest

from lobby.live.outbox import MAX_BYTES, MAX_EVENTS, Outbox


def cursors(frames: list[str]) -> list[str]:
    return [orjson.loads(frame)["id"] for frame in frames]


def watching(*topics: str) -> Outbox:
    outbox = Outbox()
    for topic in topics:
        outbox.hold(topic)
        outbox.release(topic)
    return outbox


@pytest.mark.asyncio
async def test_event_is_spliced_in_as_it_is() -> None:
    outbox = watching("chat:1")
    outbox.put("chat:1", (7, 1), b'{"type":"x"}')
    assert await outbox.take() == (['{"topic":"chat:1","id":"7-1","event":{"type":"x"}}'], [])


@pytest.mark.asyncio
async def test_what_comes_while_held_follows_the_release_and_what_was_replayed_is_not_repeated() -> None:
    outbox = Outbox()
    watch = outbox.hold("chat:1")
    for number in range(1, 4):
        outbox.put("chat:1", (number, 0), b"{}")
    watch.last = (2, 0)
    outbox.release("chat:1")
    outbox.put("chat:1", (4, 0), b"{}")
    frames, _ = await outbox.take()
    assert cursors(frames) == ["3-0", "4-0"]


@pytest.mark.asyncio
async def test_event_seen_before_is_dropped() -> None:
    outbox = watching("chat:1")
    for cursor in ((2, 0), (1, 9), (2, 0), (2, 1)):
        outbox.put("chat:1", cursor, b"{}")
    frames, _ = await outbox.take()
    assert cursors(frames) == ["2-0", "2-1"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("events", "size"), [(MAX_EVENTS + 1, 1), (2, MAX_BYTES)])
async def test_slow_reader_is_to_be_sent_afresh_what_overflowed_and_only_that(events: int, size: int) -> None:
    outbox = watching("chat:1", "chat:2")
    for number in range(events):
        outbox.put("chat:1", (number + 1, 0), b'"%b"' % (b"x" * size))
    outbox.put("chat:2", (1, 0), b"{}")
    frames, overflowed = await outbox.take()
    assert (cursors(frames), overflowed) == (["1-0"], ["chat:1"])


@pytest.mark.asyncio
async def test_overflow_while_held_is_told_after_the_release() -> None:
    outbox = Outbox()
    outbox.hold("chat:1")
    for number in range(MAX_EVENTS + 2):
        outbox.put("chat:1", (number + 1, 0), b"{}")
    outbox.release("chat:1")
    assert (await outbox.take())[1] == ["chat:1"]


@pytest.mark.asyncio
async def test_topic_that_was_left_gets_nothing_more() -> None:
    outbox = watching("chat:1", "chat:2")
    outbox.put("chat:1", (1, 0), b"{}")
    outbox.forget("chat:1")
    outbox.put("chat:1", (2, 0), b"{}")
    outbox.put("chat:2", (3, 0), b"{}")
    frames, _ = await outbox.take()
    assert cursors(frames) == ["3-0"]


@pytest.mark.asyncio
async def test_take_waits() -> None:
    outbox = watching("chat:1")
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.put("chat:1", (1, 0), b"{}")
    assert cursors((await taking)[0]) == ["1-0"]
