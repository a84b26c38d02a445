"""The fake is what it says: Ollama to the official client, exact in what it plays, sends and counts."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import ollama
import orjson
import pytest

from agents.ollama import parse_structured
from tests.fake_ollama import FakeModel, FakeOllama, expected_text, load_recording, recording_names, token
from tests.waiting import wait_for

MODEL = "fake:latest"
TIMEOUT = httpx.Timeout(60)
KEEPING = httpx.Limits(keepalive_expiry=None)  # a connection, for orders while the door is closed
MESSAGES = [{"role": "user", "content": "hi"}]
ASK = {"model": MODEL, "messages": MESSAGES}


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    thinker = FakeModel("thinker:latest", capabilities=("completion", "thinking", "tools", "embedding"))
    with FakeOllama(models=[MODEL, thinker]) as fake:
        yield fake


@pytest.fixture
def http(fake: FakeOllama) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fake.url, timeout=TIMEOUT) as http:
        yield http


@pytest.fixture
async def official(fake: FakeOllama) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(fake.url, timeout=TIMEOUT) as client:
        yield client


def said(answer: httpx.Response) -> str:
    return "".join(orjson.loads(line)["message"]["content"] for line in answer.text.splitlines())


# To the official client it is Ollama


async def test_official_client_streams_a_chat(official: ollama.AsyncClient) -> None:
    parts = [part async for part in await official.chat(MODEL, MESSAGES, stream=True)]

    assert "".join(part.message.content or "" for part in parts) == expected_text(20)
    assert (parts[-1].done, parts[-1].done_reason, parts[-1].eval_count) == (True, "stop", 20)


async def test_official_client_gets_a_whole_reply_with_thinking(fake: FakeOllama, official: ollama.AsyncClient) -> None:
    fake.script(text="Forty-two.", thinking=["Hm, ", "numbers."])

    reply = await official.chat("thinker:latest", MESSAGES, think=True)

    assert (reply.message.thinking, reply.message.content) == ("Hm, numbers.", "Forty-two.")


async def test_official_client_sees_models_on_disk_and_in_memory(official: ollama.AsyncClient) -> None:
    assert [model.model for model in (await official.list()).models] == [MODEL, "thinker:latest"]
    await official.chat("thinker:latest", [], keep_alive=0)
    assert [(model.model, model.context_length) for model in (await official.ps()).models] == [(MODEL, 4096)]
    assert (await official.show("thinker:latest")).capabilities == ["completion", "thinking", "tools", "embedding"]


async def test_official_client_embeds_and_pulls(official: ollama.AsyncClient) -> None:
    assert len((await official.embed("thinker:latest", ["a", "b"])).embeddings) == 2
    steps = [step.status async for step in await official.pull("new", stream=True)]
    assert steps[-1] == "success"
    assert "new" in [model.model for model in (await official.list()).models]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"model": "llama9"}, 404, "model 'llama9' not found"),
        ({"think": True}, 400, '"fake:latest" does not support thinking'),
        ({"tools": [{"type": "function"}]}, 400, "registry.ollama.ai/library/fake:latest does not support tools"),
        ({"options": {"num_ctx": "many"}}, 500, 'option "num_ctx" must be of type integer'),
        ({"options": {"temperature": "hot"}}, 500, 'option "temperature" must be of type float32'),
        ({"format": "yaml"}, 500, 'invalid format: "\\"yaml\\""; expected "json" or a valid JSON Schema object'),
        ({"logprobs": True, "top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
        ({"model": ""}, 400, "model is required"),
    ],
)
def test_wrong_request_gets_ollamas_own_refusal(
    asked: dict[str, Any], status: int, words: str, http: httpx.Client
) -> None:
    answer = http.post("/api/chat", json=ASK | asked)

    assert (answer.status_code, answer.json()["error"]) == (status, words)


# It plays recordings as they were


@pytest.mark.parametrize(
    "name", [name for name in recording_names() if name not in ("chat-client-leaves", "root-head")]
)
def test_recording_is_played_with_its_status_headers_and_lines(name: str, fake: FakeOllama, http: httpx.Client) -> None:
    recorded = load_recording(name)["response"]
    fake.replay(load_recording(name))

    with http.stream("POST", "/api/chat", json=ASK) as answer:
        chunks = answer.iter_bytes()
        body = b""
        try:
            for chunk in chunks:
                body += chunk
            ended = "complete"
        except httpx.RemoteProtocolError:
            ended = "cut"

    assert (answer.status_code, ended) == (recorded["status"], recorded["ended"])
    assert {name.lower() for name in recorded["headers"]} == set(answer.headers)
    assert body.decode() == "".join(text for _, text in recorded["chunks"])


def test_recorded_pace_is_kept_when_asked_for(fake: FakeOllama, http: httpx.Client) -> None:
    fake.replay(load_recording("chat-length"), timed=True)
    began = time.monotonic()

    http.post("/api/chat", json=ASK)

    assert 1000 * (time.monotonic() - began) > 125  # the last line was recorded at 128 ms


def test_recorded_answer_to_head_is_played(fake: FakeOllama, http: httpx.Client) -> None:
    fake.replay(load_recording("root-head"))

    assert http.head("/").headers["Content-Length"] == "17"
    assert http.get("/").text == "Ollama is running"


# Its text tells its own place


def test_text_says_at_every_token_where_it_is() -> None:
    text = expected_text(300)

    assert [int(text[start : start + 8]) for start in range(0, len(text), 8)] == list(range(300))
    assert expected_text(3, seed="a") != expected_text(3, seed="b")
    assert len(token(12_345, seed="a")) == 8


def test_replies_differ_by_prompt_when_asked_for(fake: FakeOllama, http: httpx.Client) -> None:
    fake.script(tokens=5, per_prompt=True)

    assert said(http.post("/api/chat", json=ASK)) == expected_text(5, seed="hi")


def test_schema_is_kept_by_a_reply_without_text(http: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {
            "option": {"enum": ["B", "A"]},
            "confidence": {"type": "integer", "minimum": 50},
            "reasons": {"type": "array", "items": {"$ref": "#/$defs/reason"}, "minItems": 2},
            "sure": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        },
        "required": ["option", "confidence", "reasons", "sure"],
        "$defs": {"reason": {"type": "string", "minLength": 9, "maxLength": 12}},
    }

    assert parse_structured(said(http.post("/api/chat", json=ASK | {"format": schema})), schema) == {
        "option": "B",
        "confidence": 50,
        "reasons": ["because..", "because.."],
        "sure": True,
    }


LETTERED = "<<<The answers by letter\nA: none of these: I abstain\nB: Wait\nC: Act now\n>>>"
BALLOT = {
    "type": "object",
    "properties": {
        "option": {"enum": ["A", "B", "C"]},
        "ranking": {"type": "array", "items": {"enum": ["B", "C"]}, "minItems": 2, "maxItems": 2},
        "confidence": {"type": "integer", "minimum": 0},
        "cited_claims": {"type": "array", "items": {"enum": [3, 4]}, "minItems": 0, "maxItems": 2},
    },
    "required": ["option", "ranking", "confidence", "cited_claims"],
    "additionalProperties": False,
}


def test_ballot_votes_by_schema_for_the_answer_that_was_ordered(fake: FakeOllama, http: httpx.Client) -> None:
    fake.script(votes="Act now", json_tokens=12)
    ask = {"model": MODEL, "messages": [{"role": "user", "content": LETTERED}], "format": BALLOT}
    answer = http.post("/api/chat", json=ask)

    assert parse_structured(said(answer), BALLOT) == {
        "option": "C",
        "ranking": ["C", "B"],
        "confidence": 80,
        "cited_claims": [3, 4],
    }
    tokens = [orjson.loads(line)["message"]["content"] for line in answer.text.splitlines()[:-1]]
    assert (len(tokens), tokens[:2]) == (12, ['{"option":"', "C"])


def test_single_token_of_a_voter_is_its_letter(fake: FakeOllama, http: httpx.Client) -> None:
    fake.script(votes="Wait")
    ask = {"model": MODEL, "messages": [{"role": "user", "content": LETTERED}], "options": {"num_predict": 1}}

    assert said(http.post("/api/chat", json=ask)) == "B"


def test_items_of_a_list_differ_where_the_schema_lets_them(http: httpx.Client) -> None:
    texts = {"type": "array", "items": {"type": "string", "maxLength": 120}, "minItems": 2, "maxItems": 5}
    order = {"type": "array", "items": {"enum": ["A", "B", "C"]}, "minItems": 3, "maxItems": 3}
    schema = {"type": "object", "properties": {"texts": texts, "order": order}}

    assert orjson.loads(said(http.post("/api/chat", json=ASK | {"format": schema}))) == {
        "texts": ["1 because", "2 because"],
        "order": ["A", "B", "C"],
    }


def test_num_predict_ends_a_reply_with_length(http: httpx.Client) -> None:
    lines = http.post("/api/chat", json=ASK | {"options": {"num_predict": 3}}).text.splitlines()

    assert (len(lines), orjson.loads(lines[-1])["done_reason"]) == (4, "length")


# Scripts: whose, how often


def test_newest_order_that_fits_wins_and_runs_out(fake: FakeOllama, http: httpx.Client) -> None:
    fake.script(text="always")
    fake.script(text="for thinkers", model="thinker:latest")
    fake.script(text="twice", times=2)
    fake.script(text="for greetings", containing="hello")

    def reply(**asked: Any) -> str:
        return said(http.post("/api/chat", json=ASK | asked))

    assert [reply() for _ in range(3)] == ["twice", "twice", "always"]
    assert reply(model="thinker:latest") == "for thinkers"
    assert reply(messages=[{"role": "user", "content": "hello you"}]) == "for greetings"
    fake.reset()
    assert reply() == expected_text(20)


# It keeps time, slots and books


def test_rate_is_kept(fake: FakeOllama, http: httpx.Client) -> None:
    fake.script(tokens=101, rate=100)

    http.post("/api/chat", json=ASK)

    (seen,) = fake.stats.streams
    assert seen.last_token is not None
    assert seen.last_token - seen.asked > 0.9  # due after 1 s, by a clock that is read once a turn


async def test_reply_that_is_held_goes_on_when_it_is_released(fake: FakeOllama, official: ollama.AsyncClient) -> None:
    fake.script(tokens=5, hold_after=2)
    asked = asyncio.create_task(streamed(official))
    await fake.until(lambda stats: bool(stats.streams) and stats.streams[0].tokens == 2)
    assert not asked.done()

    fake.release()

    assert await asked == expected_text(5)
    assert await streamed(official) == expected_text(5)  # none is held any more


async def streamed(official: ollama.AsyncClient) -> str:
    return "".join([part.message.content or "" async for part in await official.chat(MODEL, MESSAGES, stream=True)])


async def test_slots_are_given_in_the_order_of_asking(fake: FakeOllama, official: ollama.AsyncClient) -> None:
    fake.set_host(slots=1)
    fake.script(hold_after=1)
    asked = []
    for _ in range(4):
        asked.append(asyncio.create_task(streamed(official)))
        await fake.until(lambda stats: stats.chats == len(asked))

    fake.release()
    await asyncio.gather(*asked)

    ends = [seen.ended for seen in fake.stats.streams]
    assert ends == sorted(ends, key=lambda end: end or 0)
    assert (fake.stats.max_open, fake.stats.max_generating) == (4, 1)


async def test_books_tell_open_streams_and_who_left(fake: FakeOllama, official: ollama.AsyncClient) -> None:
    fake.script(silence_after=2)
    async with aclosing(await official.chat(MODEL, MESSAGES, stream=True)) as parts:  # type: ignore[type-var]
        await anext(parts)
        await anext(parts)
        stats = fake.stats
        assert (stats.open_now, stats.max_open, stats.disconnects, stats.streams[0].tokens) == (1, 1, 0, 2)

    stats = await fake.until(lambda stats: stats.open_now == 0)
    assert (stats.disconnects, stats.streams[0].end) == (1, "left")
    assert stats.requests == {"/api/chat": 1}
    assert stats.bodies[0]["messages"] == MESSAGES


def test_slow_reader_is_not_sent_more_than_it_takes(fake: FakeOllama, http: httpx.Client) -> None:
    fake.script(tokens=["x" * 100_000] * 1000)

    with http.stream("POST", "/api/chat", json=ASK) as answer:
        next(answer.iter_bytes())
        fake.wait_until(lambda stats: stats.streams[0].tokens > 0)
        assert fake.stats.streams[0].tokens < 900


def test_refused_connection_and_return_on_the_same_port(fake: FakeOllama) -> None:
    url = fake.url
    fake.refuse(cut_open=True)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=TIMEOUT)

    fake.listen()

    assert httpx.get(url, timeout=TIMEOUT).text == "Ollama is running"


# As a process


@pytest.fixture
def door() -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "tests.fake_ollama", "--port", "0", "--tokens", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with httpx.Client(base_url=process.stdout.readline().strip(), timeout=TIMEOUT, limits=KEEPING) as http:
                yield http
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0


def test_process_takes_orders_over_http(door: httpx.Client) -> None:
    assert said(door.post("/api/chat", json=ASK)) == expected_text(7)

    door.post("/fake/script", json={"status": 503, "body": '{"error":"busy"}', "times": 1})
    assert door.post("/api/chat", json=ASK).status_code == 503

    door.post("/fake/replay", json={"recording": load_recording("version")})
    assert door.get("/api/version").json() == {"version": "0.0.0"}

    stats = door.get("/fake/stats").json()
    assert (stats["chats"], stats["requests"]) == (2, {"/api/chat": 2, "/api/version": 1})
    assert [seen["end"] for seen in stats["streams"]] == ["done", "fault"]

    door.post("/fake/reset")
    assert door.get("/fake/stats").json()["chats"] == 0


def test_process_closes_its_door_for_a_while(door: httpx.Client) -> None:
    door.post("/fake/host", json={"refuse_for": 600})
    wait_for(lambda: not is_open(door))

    door.post("/fake/host", json={"refuse_for": 0.1})
    wait_for(lambda: is_open(door))


def is_open(door: httpx.Client) -> bool:
    try:
        return httpx.get(door.base_url, timeout=TIMEOUT).text == "Ollama is running"
    except httpx.ConnectError:
        return False


@pytest.mark.parametrize(
    "order", [("/fake/script", {"no_such": 1}), ("/fake/host", {"slot": 1}), ("/fake/nothing", {})]
)
def test_order_it_does_not_know_is_refused(order: tuple[str, Any], door: httpx.Client) -> None:
    path, body = order

    assert door.post(path, json=body).status_code == 400
