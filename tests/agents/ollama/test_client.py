"""What the client leaves to others, and what it holds as a whole.

Rule 6 (one `num_ctx` per agent and model) and rule 11 (no more chats than slots) are kept by the run engine and its
tests; here is what these build on.
"""

import asyncio
import socket
import subprocess
import sys
from contextlib import ExitStack, closing

import httpx
import pytest

from agents.ollama import (
    BadReply,
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
    fake.script(hold_after=1)
    asked = [asyncio.create_task(chat(client)) for _ in range(6)]
    await fake.until(lambda stats: stats.open_now == 6)

    fake.release()

    assert {text_of(reply) for reply in await asyncio.gather(*asked)} == {expected_text(20)}
    assert (fake.stats.max_open, fake.stats.max_generating) == (6, 2)


async def test_as_many_chats_at_once_as_one_likes(fake: FakeOllama, client: Client) -> None:
    fake.script(silence_after=1)
    readers = [asyncio.create_task(chat(client)) for _ in range(150)]

    await fake.until(lambda stats: stats.open_now == 150)

    for reader in readers:
        reader.cancel()
    await fake.until(lambda stats: stats.open_now == 0)


async def test_host_that_comes_back_is_reached_again(fake: FakeOllama, client: Client) -> None:
    await chat(client)
    fake.refuse(cut_open=True)
    with pytest.raises(HostUnreachable):
        await client.version()

    fake.listen()

    assert text_of(await chat(client)) == expected_text(20)


@pytest.mark.parametrize("url", ["", "localhost:11434", "http://", "http://[", "http://h:99999", "ftp://host"])
def test_address_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(HostUnreachable) as caught:
        Client(url)

    assert caught.value.message == "The address of the host is none: it should look like http://127.0.0.1:11434."


async def test_host_that_takes_no_connection_is_unreachable_after_the_connect_deadline() -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as full:
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with ExitStack() as queue:
            for _ in range(4):
                waiting = queue.enter_context(closing(socket.socket()))
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())

            async with Client(url, connect_timeout=0.2) as client:
                with pytest.raises(HostUnreachable):
                    await chat(client)


async def test_name_and_password_of_the_address_are_sent_but_never_shown(fake: FakeOllama) -> None:
    seen: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        raise httpx.ConnectError("refused")

    address = fake.url.replace("//", "//ada:secret@")
    async with Client(address) as client:
        assert await client.version() == "0.12.0"
        assert len(await client.loaded()) == 3
        assert text_of(await chat(client)) == expected_text(20)
    async with Client(address, transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(HostUnreachable) as caught:
            await client.version()

    assert seen == ["Basic YWRhOnNlY3JldA=="]
    assert caught.value.message == f"No Ollama answers at {fake.url}."


async def test_host_is_not_followed_to_another_address(fake: FakeOllama, client: Client) -> None:
    elsewhere = {"Location": f"{fake.url}/api/ps", "Content-Length": "0"}
    fake.replay({"response": {"status": 302, "headers": elsewhere, "ended": "complete", "chunks": []}})

    with pytest.raises(BadReply):
        await client.loaded()

    assert fake.stats.requests == {"/api/ps": 1}


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


def test_client_needs_no_django() -> None:
    program = "import sys, agents.ollama; sys.exit('django' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
