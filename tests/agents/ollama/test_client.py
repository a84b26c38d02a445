"""What the client leaves to others, and what it holds as a whole.

Rule 6 (one `num_ctx` per agent and model) and rule 11 (no more chats than slots) are kept by the run engine and its
tests; here is what these build on.
"""

import asyncio

import httpx
import pytest

from agents.ollama import (
    Client,
    HostUnreachable,
)
from tests.agents.ollama.asking import MODEL, chat, text_of
from tests.fake_ollama import FakeOllama, expected_text


async def test_rule_6_same_context_loads_once_and_another_one_again(fake: FakeOllama, client: Client) -> None:
    for num_ctx in (2048, 2048, 1024):
        await chat(client, options={"num_ctx": num_ctx})

    assert fake.stats.loads == 2
    assert [model.context_length for model in await client.loaded() if model.name == MODEL] == [1024]


async def test_rule_11_more_chats_than_slots_only_wait(fake: FakeOllama, client: Client) -> None:
    fake.set_host(slots=2)
    fake.script(first_token_delay=0.05)

    replies = await asyncio.gather(*(chat(client) for _ in range(6)))

    assert {text_of(reply) for reply in replies} == {expected_text(20)}
    assert (fake.stats.max_open, fake.stats.max_generating) == (6, 2)


async def test_as_many_chats_at_once_as_one_likes(fake: FakeOllama, client: Client) -> None:
    fake.script(silence_after=1)
    readers = [asyncio.create_task(chat(client)) for _ in range(150)]

    await fake.until(lambda stats: stats.open_now == 150)

    for reader in readers:
        reader.cancel()
    await fake.until(lambda stats: stats.open_now == 0, within=1)


async def test_host_that_comes_back_is_reached_again(fake: FakeOllama, client: Client) -> None:
    await chat(client)
    fake.refuse(cut_open=True)
    with pytest.raises(HostUnreachable):
        await client.version()

    fake.listen()

    assert text_of(await chat(client)) == expected_text(20)


async def test_proxy_of_the_environment_is_not_asked(fake: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async with Client(fake.url) as client:
        assert text_of(await chat(client)) == expected_text(20)
        assert len(await client.loaded()) == 3


async def test_any_transport_of_httpx_will_do() -> None:
    line = b'{"message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop"}\n'
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=line))

    async with Client("http://elsewhere", transport=transport) as client:
        assert text_of(await chat(client)) == "Hi"
