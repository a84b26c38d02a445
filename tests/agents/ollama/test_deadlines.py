import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from agents.ollama import (
    Chunk,
    Client,
    Deadlines,
    Stalled,
)
from tests.agents.ollama.asking import MODEL, QUESTION, chat, text_of
from tests.fake_ollama import FakeOllama, expected_text


async def test_rule_7_longer_deadline_set_while_a_cold_model_loads_counts(fake: FakeOllama, client: Client) -> None:
    fake.set_host(unload=True, load_delay=0.8)
    deadlines = SetLater(first_token=0.5)
    reading = asyncio.create_task(chat(client, deadlines=deadlines))
    await fake.until(lambda stats: stats.open_now == 1)

    assert await client.loaded() == []

    *said, end = await reading
    assert text_of(said) == expected_text(20)
    assert end.stats is not None
    assert end.stats.load_duration >= 0.8
    assert deadlines.looks > 1


class SetLater(Deadlines):
    """Made longer after the watch has looked for the first time: before it looks again, on any machine."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name == "first_token":
            self.looks += 1
            self.first_token = 60
        return found


async def test_rule_7_model_can_be_loaded_and_unloaded_ahead(fake: FakeOllama, client: Client) -> None:
    await client.unload(MODEL)
    assert MODEL not in {model.name for model in await client.loaded()}

    await client.load(MODEL, options={"num_ctx": 2048})
    assert {model.name: model.context_length for model in await client.loaded()}[MODEL] == 2048


async def test_rule_9_closing_the_stream_closes_the_connection_at_once(fake: FakeOllama, client: Client) -> None:
    fake.script(hold_after=3)
    chunks = client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())
    assert [(await anext(chunks)).content for _ in range(3)] == ["0000000 ", "0000001 ", "0000002 "]

    await chunks.aclose()

    await assert_stopped(fake)


@pytest.mark.parametrize("script", [{"hold_after": 5}, {"silence_after": 0}, {"first_token_delay": 600}])
async def test_rule_9_cancelling_the_reader_closes_the_connection_at_once(
    script: dict[str, Any], fake: FakeOllama, client: Client
) -> None:
    fake.script(**script)
    await assert_cancel_stops(fake, client)


async def test_rule_9_cancel_while_the_model_loads_closes_the_connection_at_once(
    fake: FakeOllama, client: Client
) -> None:
    fake.set_host(unload=True, load_delay=600)
    await assert_cancel_stops(fake, client)


async def test_rule_9_cancel_in_line_for_a_slot_closes_the_connection_at_once(fake: FakeOllama, client: Client) -> None:
    fake.set_host(slots=1)
    fake.script(silence_after=1)
    async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())) as holder:
        await anext(holder)
        second = asyncio.create_task(chat(client))
        await fake.until(lambda stats: stats.open_now == 2)

        second.cancel()

        seen = (await fake.until(lambda stats: stats.open_now == 1)).streams[-1]
        assert (seen.tokens, seen.end) == (0, "left")


async def test_rule_9_stopped_slot_is_free_for_the_next(fake: FakeOllama, client: Client) -> None:
    fake.set_host(slots=1)
    fake.script(silence_after=1, times=1)
    async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())) as holder:
        await anext(holder)

    assert text_of(await chat(client, deadlines=Deadlines(first_token=60))) == expected_text(20)


async def test_rule_9_silence_between_tokens_has_its_own_deadline(fake: FakeOllama, client: Client) -> None:
    fake.script(silence_after=3)
    said: list[Chunk] = []

    with pytest.raises(Stalled) as caught:
        async with aclosing(
            client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines(first_token=60, between=1.5))
        ) as chunks:
            async for chunk in chunks:
                said.append(chunk)

    assert text_of(said) == expected_text(3)
    assert (caught.value.deadline, caught.value.fault, caught.value.retryable) == ("between", "host", True)
    assert caught.value.message == "The model fell silent for 1.5 s in the middle of its answer."
    await fake.until(lambda stats: stats.open_now == 0)


async def test_rule_9_endless_reply_is_ended_by_the_total_deadline(fake: FakeOllama, client: Client) -> None:
    fake.script(rate=100, tokens=10_000)

    with pytest.raises(Stalled) as caught:
        await chat(client, deadlines=Deadlines(total=0.3))

    assert (caught.value.deadline, caught.value.fault, caught.value.retryable) == ("total", "model", False)


async def test_rule_9_slow_reader_is_not_taken_for_a_silent_host(fake: FakeOllama, client: Client) -> None:
    fake.script(tokens=2, hold_after=1)

    async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines(between=0.5))) as chunks:
        said = [await anext(chunks)]
        await asyncio.sleep(0.7)  # the reader's own work
        fake.release()
        await fake.until(lambda stats: stats.open_now == 0)
        said += [chunk async for chunk in chunks]

    assert text_of(said) == expected_text(2)


async def test_rule_9_host_that_never_answers_a_question_stalls(fake: FakeOllama, client: Client) -> None:
    fake.set_host(unload=True, load_delay=600)

    with pytest.raises(Stalled) as caught:
        await client.load(MODEL, within=0.2)

    assert caught.value.message == "The host did not answer within 0.2 s."


async def assert_cancel_stops(fake: FakeOllama, client: Client) -> None:
    reading = asyncio.create_task(chat(client))
    await fake.until(lambda stats: stats.open_now == 1)

    reading.cancel()

    await assert_stopped(fake)
    assert reading.cancelled()


async def assert_stopped(fake: FakeOllama) -> None:
    """While there was still something to say: the fake would never have come to the end by itself."""
    stats = await fake.until(lambda stats: stats.open_now == 0)
    (seen,) = stats.streams
    assert (seen.end, stats.disconnects) == ("left", 1)
