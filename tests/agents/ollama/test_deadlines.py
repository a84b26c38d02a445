import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest

from agents.ollama import (
    Chunk,
    Client,
    Deadlines,
    Stalled,
)
from tests.agents.ollama.asking import MODEL, QUESTION, STOPS_WITHIN, chat, text_of
from tests.fake_ollama import FakeOllama, expected_text


async def test_rule_7_longer_deadline_set_while_a_cold_model_loads_counts(fake: FakeOllama, client: Client) -> None:
    fake.set_host(unload=True, load_delay=0.8)
    deadlines = Deadlines(first_token=0.5)
    reading = asyncio.create_task(chat(client, deadlines=deadlines))
    await fake.until(lambda stats: stats.open_now == 1)

    assert await client.loaded() == []
    deadlines.first_token = 5

    *said, end = await reading
    assert text_of(said) == expected_text(20)
    assert end.stats is not None
    assert end.stats.load_duration >= 0.8


async def test_rule_7_model_can_be_loaded_and_unloaded_ahead(fake: FakeOllama, client: Client) -> None:
    await client.unload(MODEL)
    assert MODEL not in {model.name for model in await client.loaded()}

    await client.load(MODEL, options={"num_ctx": 2048})
    assert {model.name: model.context_length for model in await client.loaded()}[MODEL] == 2048


async def test_rule_9_closing_the_stream_closes_the_connection_at_once(fake: FakeOllama, client: Client) -> None:
    fake.script(rate=50, tokens=200)
    chunks = client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())
    assert [(await anext(chunks)).content for _ in range(3)] == ["0000000 ", "0000001 ", "0000002 "]

    stopped = time.monotonic()
    await chunks.aclose()

    await assert_stopped(fake, since=stopped)


@pytest.mark.parametrize("script", [{"rate": 50, "tokens": 200}, {"silence_after": 0}, {"first_token_delay": 60}])
async def test_rule_9_cancelling_the_reader_closes_the_connection_at_once(
    script: dict[str, Any], fake: FakeOllama, client: Client
) -> None:
    fake.script(**script)
    await assert_cancel_stops(fake, client)


async def test_rule_9_cancel_while_the_model_loads_closes_the_connection_at_once(
    fake: FakeOllama, client: Client
) -> None:
    fake.set_host(unload=True, load_delay=60)
    await assert_cancel_stops(fake, client)


async def test_rule_9_cancel_in_line_for_a_slot_closes_the_connection_at_once(fake: FakeOllama, client: Client) -> None:
    fake.set_host(slots=1)
    fake.script(silence_after=1)
    async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())) as holder:
        await anext(holder)
        second = asyncio.create_task(chat(client))
        await fake.until(lambda stats: stats.open_now == 2)

        stopped = time.monotonic()
        second.cancel()

        seen = (await fake.until(lambda stats: stats.open_now == 1, within=STOPS_WITHIN)).streams[-1]
        assert seen.ended is not None
        assert seen.ended - stopped < STOPS_WITHIN


async def test_rule_9_stopped_slot_is_free_for_the_next(fake: FakeOllama, client: Client) -> None:
    fake.set_host(slots=1)
    fake.script(silence_after=1, times=1)
    async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())) as holder:
        await anext(holder)

    assert text_of(await chat(client, deadlines=Deadlines(first_token=1))) == expected_text(20)


async def test_rule_9_silence_between_tokens_has_its_own_deadline(fake: FakeOllama, client: Client) -> None:
    fake.script(silence_after=3)
    said: list[Chunk] = []

    with pytest.raises(Stalled) as caught:
        async with aclosing(
            client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines(first_token=60, between=0.2))
        ) as chunks:
            async for chunk in chunks:
                said.append(chunk)

    assert text_of(said) == expected_text(3)
    assert (caught.value.deadline, caught.value.fault, caught.value.retryable) == ("between", "host", True)
    assert caught.value.message == "The model fell silent for 0.2 s in the middle of its answer."
    await fake.until(lambda stats: stats.open_now == 0, within=STOPS_WITHIN)


async def test_rule_9_endless_reply_is_ended_by_the_total_deadline(fake: FakeOllama, client: Client) -> None:
    fake.script(rate=100, tokens=10_000)

    with pytest.raises(Stalled) as caught:
        await chat(client, deadlines=Deadlines(total=0.3))

    assert (caught.value.deadline, caught.value.fault, caught.value.retryable) == ("total", "model", False)


async def test_rule_9_slow_reader_is_not_taken_for_a_silent_host(fake: FakeOllama, client: Client) -> None:
    fake.script(tokens=6, rate=50)
    said = []

    async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines(between=0.06))) as chunks:
        async for chunk in chunks:
            said.append(chunk)
            await asyncio.sleep(0.1)  # the reader's own work

    assert text_of(said) == expected_text(6)


async def test_rule_9_host_that_never_answers_a_question_stalls(fake: FakeOllama, client: Client) -> None:
    fake.set_host(unload=True, load_delay=60)

    with pytest.raises(Stalled) as caught:
        await client.load(MODEL, within=0.2)

    assert caught.value.message == "The host did not answer within 0.2 s."


async def assert_cancel_stops(fake: FakeOllama, client: Client) -> None:
    reading = asyncio.create_task(chat(client))
    await fake.until(lambda stats: stats.open_now == 1)

    stopped = time.monotonic()
    reading.cancel()

    await assert_stopped(fake, since=stopped)
    assert reading.cancelled()


async def assert_stopped(fake: FakeOllama, *, since: float) -> None:
    stats = await fake.until(lambda stats: stats.open_now == 0, within=STOPS_WITHIN)
    (seen,) = stats.streams
    assert seen.ended is not None
    assert seen.ended - since < STOPS_WITHIN
    assert (seen.end, stats.disconnects) == ("left", 1)
