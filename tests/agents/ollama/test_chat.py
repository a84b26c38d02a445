import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.ollama import (
    Chunk,
    Client,
    ContextFull,
    OllamaError,
)
from tests.agents.ollama.asking import MODEL, QUESTION, answer, chat, text_of
from tests.fake_ollama import FakeOllama, expected_text, expected_thinking


async def test_rule_5_text_is_never_dropped_silently(fake: FakeOllama, client: Client) -> None:
    await chat(client)

    assert fake.stats.bodies[-1] == {
        "model": MODEL,
        "messages": QUESTION,
        "stream": True,
        "truncate": False,
        "shift": False,
    }


async def test_rule_5_prompt_longer_than_the_context_says_how_long_both_are(fake: FakeOllama, client: Client) -> None:
    fake.script(n_ctx=4096, prompt_tokens=6010)

    with pytest.raises(ContextFull) as caught:
        await chat(client)

    assert (caught.value.n_prompt_tokens, caught.value.n_ctx) == (6010, 4096)
    assert (caught.value.fault, caught.value.retryable) == ("caller", False)


async def test_rule_5_prompt_longer_than_the_context_needs_no_numbers(fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(400, '{"error":{"type":"exceed_context_size_error","n_ctx":"many"}}'))

    with pytest.raises(ContextFull) as caught:
        await chat(client)

    assert caught.value.message == "The conversation is longer than the model's context."


async def test_rule_5_reply_that_fills_the_context_ends_with_length(fake: FakeOllama, client: Client) -> None:
    fake.script(n_ctx=40, prompt_tokens=30, tokens=20)

    *said, end = await chat(client)

    assert text_of(said) == expected_text(10)
    assert end.done_reason == "length"
    assert end.stats is not None
    assert end.stats.context_tokens == 40


@pytest.mark.parametrize("inline", [False, True])
async def test_rule_12_thinking_is_kept_apart_from_the_reply(inline: bool, fake: FakeOllama, client: Client) -> None:
    fake.script(thinking=5, tokens=5, inline_thinking=inline)

    chunks = await chat(client)

    assert text_of(chunks) == expected_text(5)
    assert "".join(chunk.thinking for chunk in chunks).rstrip() == expected_thinking(5).rstrip()


async def test_rule_12_think_is_sent_as_asked(fake: FakeOllama, client: Client) -> None:
    await chat(client, model="thinker:latest", think=False)
    await chat(client, model="thinker:latest", think="high")

    assert [body["think"] for body in fake.stats.bodies] == [False, "high"]


async def test_rule_12_tag_within_a_reply_is_part_of_it(fake: FakeOllama, client: Client) -> None:
    fake.script(text="Models write <think> and </think> around it.")

    assert text_of(await chat(client)) == "Models write <think> and </think> around it."


async def test_rule_13_log_probabilities_come_with_every_token(fake: FakeOllama, client: Client) -> None:
    fake.script(tokens=3)

    *said, _ = await chat(client, top_logprobs=5)

    assert {name: fake.stats.bodies[-1][name] for name in ("logprobs", "top_logprobs")} == {
        "logprobs": True,
        "top_logprobs": 5,
    }
    assert [len(chunk.logprobs[0]["top_logprobs"]) for chunk in said] == [5, 5, 5]


async def test_rule_13_no_log_probabilities_unless_asked(fake: FakeOllama, client: Client) -> None:
    assert [chunk.logprobs for chunk in await chat(client)] == [()] * 21
    assert "logprobs" not in fake.stats.bodies[-1]


async def test_tool_calls_are_passed_on(fake: FakeOllama, client: Client) -> None:
    call = {"function": {"name": "look_up", "arguments": {"word": "lobby"}}}
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    fake.script(tokens=0, tool_calls=[call])

    said, _ = await chat(client, model="thinker:latest", tools=[tool])

    assert said == Chunk(tool_calls=[call])
    assert fake.stats.bodies[-1]["tools"] == [tool]


async def test_long_question_arrives_whole(fake: FakeOllama, client: Client) -> None:
    question = [{"role": "user", "content": "ü" * 200_000}]

    await chat(client, messages=question)

    assert fake.stats.bodies[-1]["messages"] == question


async def test_absent_counts_are_zero_and_no_error(fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(200, '{"message":{"role":"assistant","content":"Hi"},"done":true}'))

    said, end = await chat(client)

    assert said == Chunk("Hi")
    assert end.stats is not None
    assert (end.stats.output_tokens, end.stats.tokens_per_second) == (0, 0.0)


LINES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["message", "content", "thinking", "done", "done_reason", "error", "tool_calls", "type"])
            | st.sampled_from(["logprobs", "total_duration", "eval_count", "n_ctx", "n_prompt_tokens"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.lists(LINES, max_size=4), st.sampled_from([200, 200, 200, 400, 500]))
async def test_whatever_a_host_says_is_a_reply_or_one_of_our_errors(lines: list[object], status: int) -> None:
    body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    transport = httpx.MockTransport(lambda request: httpx.Response(status, content=body))

    async with Client("http://host", transport=transport) as client:
        try:
            chunks = await chat(client)
        except OllamaError as error:
            assert isinstance(error.message, str)
        else:
            assert chunks[-1].done
