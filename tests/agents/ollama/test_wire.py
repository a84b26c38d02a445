import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from agents.ollama import (
    BadReply,
    Chunk,
    Client,
    Deadlines,
    HostUnreachable,
    ModelFailed,
    OllamaError,
    Stalled,
    StreamCut,
)
from tests.agents.ollama.asking import MODEL, QUESTION, chat, text_of
from tests.fake_ollama import FakeOllama, expected_text


async def test_rule_1_silence_before_the_headers_is_timed_as_the_first_token(fake: FakeOllama, client: Client) -> None:
    fake.script(silence_after=0)

    with pytest.raises(Stalled) as caught:
        await chat(client, deadlines=Deadlines(first_token=0.2))

    assert (caught.value.deadline, caught.value.fault, caught.value.retryable) == ("first_token", "host", True)
    assert caught.value.message == "The model did not begin to answer within 0.2 s."
    await fake.until(lambda stats: stats.open_now == 0)


async def test_rule_1_refused_connection_is_an_unreachable_host(fake: FakeOllama, client: Client) -> None:
    fake.refuse()

    with pytest.raises(HostUnreachable) as caught:
        await chat(client)

    assert (caught.value.fault, caught.value.retryable) == ("host", True)
    assert caught.value.message == f"No Ollama answers at {fake.url}."


@pytest.mark.parametrize("method", ["version", "models", "loaded"])
async def test_rule_1_refused_question_is_an_unreachable_host(method: str, fake: FakeOllama, client: Client) -> None:
    fake.refuse()

    with pytest.raises(HostUnreachable):
        await getattr(client, method)()


@pytest.mark.parametrize("method", ["show", "load", "unload"])
async def test_rule_1_refused_work_on_a_model_is_an_unreachable_host(
    method: str, fake: FakeOllama, client: Client
) -> None:
    fake.refuse()

    with pytest.raises(HostUnreachable):
        await getattr(client, method)(MODEL)


async def test_rule_1_connection_closed_before_the_headers_is_an_unreachable_host(
    fake: FakeOllama, client: Client
) -> None:
    fake.script(cut_after=0)

    with pytest.raises(HostUnreachable) as caught:
        await chat(client)

    assert caught.value.message == f"The host at {fake.url} closed the connection without an answer."


async def test_rule_1_name_the_network_does_not_know_is_an_unreachable_host() -> None:
    async with Client("http://no-such-host.invalid:11434") as client:
        with pytest.raises(HostUnreachable):
            await client.version()


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"error_line_after": 3}, ModelFailed, "an error was encountered while running the model: unexpected EOF"),
        ({"missing_done": True, "tokens": 3}, StreamCut, "The answer ended before it was complete."),
        ({"truncated_line_after": 3}, StreamCut, "The answer ended before it was complete."),
        ({"cut_after": 3}, StreamCut, "The connection to the host broke in the middle of the answer."),
        (
            {"cut_after": 3, "reset": True, "rate": 50},
            StreamCut,
            "The connection to the host broke in the middle of the answer.",
        ),
        ({"junk_line_after": 3}, BadReply, "The host's answer is not Ollama's protocol; it reads: ]]> this is no JSON"),
    ],
)
async def test_rule_2_stream_that_goes_wrong_fails_after_what_was_said(
    fault: dict[str, Any], error: type[OllamaError], words: str, fake: FakeOllama, client: Client
) -> None:
    fake.script(**fault)
    said: list[Chunk] = []

    with pytest.raises(error) as caught:
        async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())) as chunks:
            async for chunk in chunks:
                said.append(chunk)

    assert text_of(said) == expected_text(3)
    assert caught.value.message == words


async def test_rule_2_error_line_without_any_token_before_it(fake: FakeOllama, client: Client) -> None:
    fake.script(error_line_after=0, error='{"error":{"message":"out of memory"}}')

    with pytest.raises(ModelFailed) as caught:
        await chat(client)

    assert caught.value.message == "out of memory"


async def test_rule_2_page_of_html_with_status_200_is_a_bad_reply(fake: FakeOllama, client: Client) -> None:
    fake.script(html_with_200=True)

    with pytest.raises(BadReply) as caught:
        await chat(client)

    assert caught.value.message == "A page of HTML came instead of an answer: is it Ollama at this address?"


async def test_huge_reply_arrives_whole(fake: FakeOllama, client: Client) -> None:
    whole = expected_text(131_072)
    fake.script(tokens=[whole[start : start + 1000] for start in range(0, len(whole), 1000)])

    assert text_of(await chat(client)) == whole


async def test_one_line_of_several_megabytes_arrives_whole(fake: FakeOllama, client: Client) -> None:
    fake.script(tokens=["x" * 5_000_000])

    assert text_of(await chat(client)) == "x" * 5_000_000


async def test_line_without_end_is_given_up(fake: FakeOllama, client: Client) -> None:
    fake.script(tokens=["x" * 17 * 1024 * 1024])

    with pytest.raises(BadReply):
        await chat(client)


SAID = '{"message":{"content":"Yes."},"done":false}\n{"message":{"content":""},"done":true}\n'


def ends_after(milliseconds: int) -> dict[str, Any]:
    """A complete answer, and that much later the end of the response."""
    answer = {"status": 200, "headers": {"Content-Type": "application/x-ndjson"}, "headers_at_ms": 0}
    return {"response": answer | {"ended": "complete", "chunks": [[0, SAID], [milliseconds, "\n"]]}}


async def test_chats_one_after_another_use_one_connection(fake: FakeOllama, client: Client) -> None:
    for _ in range(3):
        fake.replay(ends_after(20), timed=True)
        assert text_of(await chat(client, deadlines=Deadlines(end=60))) == "Yes."

    assert (fake.stats.requests["/api/chat"], fake.stats.connections) == (3, 1)


async def test_answer_that_is_complete_but_does_not_end_is_not_waited_for(fake: FakeOllama, client: Client) -> None:
    fake.replay(ends_after(3_600_000), timed=True)

    async with asyncio.timeout(60):
        said = await chat(client)

    assert (text_of(said), said[-1].done) == ("Yes.", True)
