"""Every recording of a real Ollama, through the client: what each must give."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from agents.ollama import (
    BadReply,
    BadRequest,
    Chunk,
    Client,
    ContextFull,
    Deadlines,
    HostBusy,
    Loaded,
    Model,
    ModelFailed,
    ModelMissing,
    OllamaError,
    StreamCut,
)
from tests.fake_ollama import FakeOllama, Recording, load_recording, recording_names, request_body

MODEL = "smollm2:135m"


@dataclass(frozen=True)
class Reply:
    """How a chat ends; its text must be the recorded one to the character."""

    done_reason: str
    prompt_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class Failure:
    """`said`: characters of reply that came before it."""

    error: type[OllamaError]
    words: str
    said: int = 0


@dataclass(frozen=True)
class Left:
    """The client itself goes away after so many chunks, and the host notices."""

    after: int


TAGGED = Model(MODEL, ("completion",), 8192, 98_362_745, "134.52M", "Q4_1")
NO_PULL = (
    'pull model manifest: Get "https://registry.ollama.ai/v2/library/llama9/manifests/latest": '
    "dial tcp: lookup registry.ollama.ai on 127.0.0.53:53: no such host"
)
WEIGHTS = 'tensor "token_embd.weight" offset+size (31868992) exceeds file size (3000000)'
NO_VECTORS = "This server does not support embeddings. Start it with `--embeddings`"
FORBIDDEN = "The host refuses requests under this name (403): see its OLLAMA_HOST and OLLAMA_ORIGINS."
NO_OLLAMA = "The host's answer is not Ollama's protocol; it reads: "

OUTCOMES: dict[str, Any] = {
    "chat-after-client-left": Reply("length", 10, 2),
    "chat-after-runner-killed": Reply("length", 10, 2),
    "chat-broken-json": Failure(BadRequest, "unexpected EOF"),
    "chat-broken-weights": Failure(ModelFailed, WEIGHTS),
    "chat-busy": Failure(HostBusy, "server busy, please try again.  maximum pending requests exceeded"),
    "chat-client-leaves": Left(after=5),
    "chat-context-full-no-shift": Reply("length", 25, 231),
    "chat-context-full-shift": Reply("stop", 25, 384),
    "chat-empty-content": Reply("length", 9, 4),
    "chat-format-bad-schema": Failure(
        BadRequest,
        "Field 'json_schema': \"json_schema\": JSON schema conversion failed:\n"
        'Unrecognized schema: {"type":"nonsense"}',
    ),
    "chat-format-unknown": Failure(
        BadRequest, 'invalid format: "\\"yaml\\""; expected "json" or a valid JSON Schema object'
    ),
    "chat-get": Failure(BadRequest, "405 method not allowed"),
    "chat-image-not-base64": Failure(BadRequest, "illegal base64 data at input byte 0"),
    "chat-image-unsupported": Failure(
        BadRequest, "Multimodal data provided, but model does not support multimodal requests."
    ),
    "chat-json": Reply("stop", 53, 24),
    "chat-length": Reply("length", 14, 6),
    "chat-load": Reply("load"),
    "chat-logprobs-one-token": Reply("length", 31, 1),
    "chat-no-body": Failure(BadRequest, "missing request body"),
    "chat-no-model": Failure(BadRequest, "model is required"),
    "chat-no-such-model": Failure(ModelMissing, f"This host has no model “llama9”. It has {MODEL}."),
    "chat-option-unknown": Reply("length", 10, 2),
    "chat-option-wrong-type": Failure(BadRequest, 'option "temperature" must be of type float32'),
    "chat-plain": Reply("stop", 13, 12),
    "chat-reload-num-ctx": Reply("length", 14, 60),
    "chat-runner-killed": Failure(
        ModelFailed, "an error was encountered while running the model: unexpected EOF", said=293
    ),
    "chat-schema-cut": Reply("length", 53, 8),
    "chat-schema-logprobs": Reply("stop", 53, 11),
    "chat-schema-plain": Reply("stop", 53, 32),
    "chat-schema": Reply("stop", 53, 32),
    "chat-server-killed": Failure(StreamCut, "The connection to the host broke in the middle of the answer.", said=263),
    "chat-stop-sequence": Reply("stop", 19, 34),
    "chat-stream-cold": Reply("stop", 13, 12),
    "chat-stream": Reply("length", 22, 24),
    "chat-think-unsupported": Failure(BadRequest, '"smollm2:135m" does not support thinking'),
    "chat-too-long-one-message": Reply("length", 2050, 8),
    "chat-too-long-refused": Failure(
        ContextFull, "The conversation has 6,010 tokens and the model's context holds 4,096."
    ),
    "chat-too-long-truncated": Reply("length", 21, 8),
    "chat-tools-unsupported": Failure(BadRequest, "registry.ollama.ai/library/smollm2:135m does not support tools"),
    "chat-top-logprobs-range": Failure(BadRequest, "top_logprobs must be between 0 and 20"),
    "chat-unicode": Reply("stop", 24, 10),
    "chat-unknown-role": Reply("length", 11, 2),
    "chat-unload": Reply("unload"),
    "chat-waited": Reply("length", 14, 120),
    "chat-wrong-type": Failure(
        BadRequest, "json: cannot unmarshal string into Go struct field ChatRequest.messages of type []api.Message"
    ),
    "embed-no-input": [],
    "embed-two": Failure(BadRequest, NO_VECTORS),
    "embed": Failure(BadRequest, NO_VECTORS),
    "foreign-host": Failure(BadRequest, FORBIDDEN),
    "foreign-origin": Failure(BadRequest, FORBIDDEN),
    "no-such-route": Failure(BadRequest, "404 page not found"),
    "ps-before-load": [],
    "ps-loaded": [Loaded(MODEL, 4096, datetime(2026, 11, 21, 10, 35, 46, 819628, UTC))],
    "ps-none": [],
    "ps-other-context": [Loaded(MODEL, 1024, datetime(2026, 11, 21, 10, 37, 37, 6413, UTC))],
    "pull-no-name": Failure(BadRequest, "invalid model name"),
    "pull-without-network-plain": Failure(ModelFailed, NO_PULL),
    "pull-without-network": Failure(ModelFailed, NO_PULL),
    "root-head": Failure(BadReply, "What answers at <url> does not speak proper HTTP."),
    "root": Failure(BadReply, NO_OLLAMA + "Ollama is running"),
    "show-broken-weights": Failure(ModelFailed, WEIGHTS),
    "show-no-such-model": Failure(ModelMissing, f"This host has no model “llama9”. It has {MODEL}."),
    "show": ("completion",),
    "tags-none": [],
    "tags": [TAGGED],
    "version": "0.0.0",
}


def test_every_recording_has_an_outcome() -> None:
    assert sorted(OUTCOMES) == recording_names()


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama(models=[MODEL]) as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeOllama) -> AsyncIterator[Client]:
    async with Client(fake.url) as client:
        yield client


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if isinstance(outcome, Reply)])
async def test_recorded_chat_is_given_whole(name: str, fake: FakeOllama, client: Client) -> None:
    recording, expected = load_recording(name), OUTCOMES[name]
    fake.replay(recording)

    *text, end = await read_chat(client, recording)

    recorded = [orjson.loads(line) for _, line in recording["response"]["chunks"]]
    assert "".join(chunk.content for chunk in text) == "".join(line["message"]["content"] for line in recorded)
    assert [p for chunk in text for p in chunk.logprobs] == [p for line in recorded for p in line.get("logprobs", ())]
    assert end.stats is not None
    assert Reply(end.done_reason, end.stats.prompt_tokens, end.stats.output_tokens) == expected
    assert end.stats.total_duration == recorded[-1].get("total_duration", 0) / 1e9
    assert end.stats.load_duration == recorded[-1].get("load_duration", 0) / 1e9
    assert end.stats.eval_duration == recorded[-1].get("eval_duration", 0) / 1e9


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if isinstance(outcome, Failure)])
async def test_recorded_failure_gives_its_typed_error(name: str, fake: FakeOllama, client: Client) -> None:
    recording, expected = load_recording(name), OUTCOMES[name]
    fake.replay(recording)
    said: list[Chunk] = []

    with pytest.raises(expected.error) as caught:
        await ask(client, recording, said=said)

    assert caught.value.message == expected.words.replace("<url>", fake.url)
    assert len("".join(chunk.content for chunk in said)) == expected.said


@pytest.mark.parametrize("name", [name for name, o in OUTCOMES.items() if not isinstance(o, Reply | Failure | Left)])
async def test_recorded_answer_is_understood(name: str, fake: FakeOllama, client: Client) -> None:
    fake.replay(load_recording(name))

    assert await ask(client, load_recording(name)) == OUTCOMES[name]


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if isinstance(outcome, Left)])
async def test_recorded_host_notices_that_the_client_left(name: str, fake: FakeOllama, client: Client) -> None:
    recording = load_recording(name)
    fake.replay(recording)

    async with aclosing(chat(client, recording)) as chunks:
        said = [await anext(chunks) for _ in range(OUTCOMES[name].after)]

    assert "".join(chunk.content for chunk in said) == "One night, in the"
    await fake.until(lambda stats: stats.disconnects == 1)


async def test_refused_prompt_tells_its_length_and_the_context(fake: FakeOllama, client: Client) -> None:
    fake.replay(load_recording("chat-too-long-refused"))

    with pytest.raises(ContextFull) as caught:
        await read_chat(client, load_recording("chat-too-long-refused"))

    assert (caught.value.n_prompt_tokens, caught.value.n_ctx) == (6010, 4096)


async def ask(client: Client, recording: Recording, *, said: list[Chunk] | None = None) -> Any:
    """Asks as the recording was asked, by the method of the client that uses its path."""
    if recording["request"]["path"] == "/api/chat":
        return await read_chat(client, recording, said=said)
    body = request_body(recording) or {}
    model = body.get("model", "")
    asks: dict[str, Callable[[], Awaitable[Any]]] = {
        "/": client.version,
        "/api/nothing": client.version,
        "/api/version": client.version,
        "/api/tags": client.models,
        "/api/ps": client.loaded,
        "/api/show": lambda: capabilities(client, model),
        "/api/embed": lambda: client.embed(body.get("input", []), model=model),
        "/api/pull": lambda: pull(client, model or "x"),
    }
    return await asks[recording["request"]["path"]]()


def chat(client: Client, recording: Recording) -> Any:
    body = request_body(recording) or {}
    fields = ("format", "options", "think", "keep_alive", "tools", "top_logprobs")
    asked = {name: body[name] for name in fields if name in body}
    messages = body.get("messages", [{"role": "user", "content": "hi"}])
    return client.chat(model=body.get("model", MODEL), messages=messages, deadlines=Deadlines(), **asked)


async def read_chat(client: Client, recording: Recording, *, said: list[Chunk] | None = None) -> list[Chunk]:
    chunks = said if said is not None else []
    async with aclosing(chat(client, recording)) as stream:
        async for chunk in stream:
            chunks.append(chunk)
    return chunks


async def capabilities(client: Client, model: str) -> tuple[str, ...]:
    return tuple((await client.show(model)).capabilities or ())


async def pull(client: Client, model: str) -> None:
    async with aclosing(client.pull(model)) as steps:
        async for _ in steps:
            pass
