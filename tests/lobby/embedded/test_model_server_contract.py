"""Every recorded exchange with a real Ollama, asked of the embedded model server: raw, and by the official client.

The same request must get the same status, headers, end, and JSON keys of the same types in the same order; the same
number of prompt tokens, as it is the same model; and where a text does not depend on the machine, the same text.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from typing import Any

import ollama
import pytest

from tests.lobby.embedded.model_servers import (
    ENDLESS,
    OFTEN_CHANGES,
    PATIENCE,
    RECORDINGS,
    Exchange,
    Listening,
    ModelServer,
    model_server,
    received,
    user,
)
from tests.waiting import wait_for

NOT_SHOWN = {
    "tags-none": "it is never without its one model",
    "chat-broken-weights": "its weights are a file of an installed package, which installing verified",
    "show-broken-weights": "the same",
}
SCENES = {  # recordings that need more than their request; each has its own test below
    "chat-after-client-left",
    "chat-after-runner-killed",
    "chat-busy",
    "chat-client-leaves",
    "chat-runner-killed",
    "chat-server-killed",
    "chat-waited",
}
BEFOREHAND: dict[str, int | None] = {  # the context that must be loaded; None: nothing loaded
    "chat-stream-cold": None,
    "ps-before-load": None,
    "ps-loaded": 4096,
    "ps-none": None,
    "ps-other-context": 1024,
}
SMALL_CONTEXT = 512
ON_A_SMALL_CONTEXT = {  # so that half a context is read in seconds; the count is that context's
    "chat-too-long-one-message": {"prompt_eval_count": SMALL_CONTEXT - (SMALL_CONTEXT - 4) // 2},
}
OTHER_TEXT = {  # error texts that name the other machine's network
    "pull-without-network",
    "pull-without-network-plain",
}
OTHER_END = {  # what is said is not the same, so another limit may come first
    "chat-context-full-no-shift": {"stop", "length"},
    "chat-context-full-shift": {"stop", "length"},
    "chat-json": {"stop", "length"},
    "chat-schema": {"stop", "length"},
    "chat-schema-plain": {"stop", "length"},
    "chat-unicode": {"stop", "length"},
}
CLIENT_CANNOT_ASK = {
    "chat-broken-json": "it sends whole JSON",
    "chat-no-body": "it always sends a body",
    "chat-wrong-type": "it refuses the type itself",
    "chat-format-unknown": "it refuses it itself",
    "chat-no-model": "it refuses it itself",
    "pull-no-name": "it refuses it itself",
    "chat-image-not-base64": "it takes it for a file's name",
    "chat-get": "it posts",
    "chat-too-long-refused": "it has no truncate",
    "chat-too-long-one-message": "it could, and it would take long",
    "chat-context-full-shift": "it could, and it would take long",
    "chat-context-full-no-shift": "it has no shift",
    "foreign-host": "it sets no Host",
    "foreign-origin": "it sets no Origin",
    "no-such-route": "it has none",
    "root": "it has no call for it",
    "root-head": "it has no call for it",
    "version": "it has no call for it",
}


def recording(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
REPLAYED = [name for name in NAMES if name not in NOT_SHOWN and name not in SCENES]
ASKED_BY_CLIENT = [name for name in REPLAYED if name not in CLIENT_CANNOT_ASK]


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with model_server("--parallel", "2", "--context", "4096") as running:
        yield running


@pytest.fixture(scope="module")
def small() -> Iterator[ModelServer]:
    """One slot of few tokens; one request may wait for a load."""
    options = ("--parallel", "1", "--context", str(SMALL_CONTEXT), "--max-queue", "1")
    with model_server(*options) as running:
        yield running


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[ollama.AsyncClient]:
    client = ollama.AsyncClient(host=server.url, timeout=PATIENCE, trust_env=False)
    yield client
    await client.close()  # type: ignore[no-untyped-call]


def test_every_recording_is_shown_or_said_why_not() -> None:
    named = NOT_SHOWN.keys() | SCENES | CLIENT_CANNOT_ASK.keys() | BEFOREHAND.keys() | OTHER_TEXT | OTHER_END.keys()
    assert len(NAMES) == 66
    assert named - set(NAMES) == set()
    assert NOT_SHOWN.keys() & SCENES == set()
    assert {name for name in NAMES if scene_test(name)} == SCENES


def scene_test(name: str) -> Any:
    return globals().get(f"test_{name.replace('-', '_')}")


@pytest.mark.parametrize("name", REPLAYED)
def test_answers_as_recorded(name: str, server: ModelServer, small: ModelServer) -> None:
    prepare(name, server)
    recorded = recording(name)
    if name in ON_A_SMALL_CONTEXT:
        answer = replay(small, with_other_words(recorded["request"]))
    else:
        answer = replay(server, recorded["request"])
    assert_same(answer, recorded)


def prepare(name: str, server: ModelServer) -> None:
    if name not in BEFOREHAND:
        return
    context = BEFOREHAND[name]
    if context is None:
        server.unload()
    else:
        server.load(num_ctx=context)


def replay(server: ModelServer, request: Any) -> Exchange:
    return server.ask(request["method"], request["path"], body=body(request), headers=request["headers"])


def with_other_words(request: Any) -> Any:
    """Half of a small context of nothing but `word` ends, for this model, in silence."""
    return json.loads(json.dumps(request).replace('"word "', '"the sea, "'))


def body(request: Any) -> bytes:
    if "raw_body" in request:
        return str(request["raw_body"]).encode()
    return json.dumps(given(request)).encode() if "body" in request else b""


def given(request: Any) -> Any:
    """Its body, asked for the likeliest words: two tokens by chance may be half a sign, and so no text at all."""
    body = spelled_out(request.get("body", {}))
    if request["path"] != "/api/chat":
        return body
    return {**body, "options": {"temperature": 0, **body.get("options", {})}}


def spelled_out(value: Any) -> Any:
    match value:
        case {"repeat": str(text), "times": int(times)}:
            return text * times
        case dict():
            return {name: spelled_out(each) for name, each in value.items()}
        case list():
            return [spelled_out(each) for each in value]
        case _:
            return value


def assert_same(answer: Exchange, recorded: Any) -> None:
    response, name = recorded["response"], recorded["name"]
    assert answer.status == response["status"]
    assert answer.headers == {
        key.lower(): "" if key.lower() in OFTEN_CHANGES else value for key, value in response["headers"].items()
    }
    assert answer.ended == response["ended"]
    body = "".join(text for _, text in response["chunks"])
    if not response["headers"].get("Content-Type", "").startswith(("application/json", "application/x-ndjson")):
        assert "\n".join(answer.lines) == body
        return
    assert_same_chunks(name, answer.chunks, [json.loads(line) for line in body.splitlines()])


def assert_same_chunks(name: str, found: list[Any], expected: list[Any]) -> None:
    assert kinds(found) == kinds(expected)
    for mine, theirs in ((found[0], expected[0]), (found[-1], expected[-1])):
        if "error" in theirs and name not in OTHER_TEXT:
            assert mine == theirs
        assert mine.get("status") == theirs.get("status")
        if "done_reason" in theirs:
            assert mine["done_reason"] in OTHER_END.get(name, {theirs["done_reason"]})
        if "prompt_eval_count" in theirs:
            counts = ON_A_SMALL_CONTEXT.get(name, theirs)
            assert mine["prompt_eval_count"] == counts["prompt_eval_count"]


def kinds(chunks: list[Any]) -> tuple[Any, list[Any], Any]:
    """The shape of the first chunk, of all between, and of the last."""
    between: list[Any] = []
    for chunk in chunks[1:-1]:
        if shape(chunk) not in between:
            between.append(shape(chunk))
    return shape(chunks[0]), between, shape(chunks[-1])


def shape(value: Any) -> Any:
    """Types and keys, in order; of a list, those of its first item (there, too, an empty token has no `bytes`)."""
    match value:
        case dict():
            return tuple((name, shape(each)) for name, each in value.items())
        case list():
            return [shape(each) for each in value[:1]]
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case None:
            return "null"
        case _:
            return "string"


@pytest.mark.parametrize("name", ASKED_BY_CLIENT)
async def test_the_official_client_reads_what_is_recorded(
    name: str, server: ModelServer, client: ollama.AsyncClient
) -> None:
    prepare(name, server)
    recorded = recording(name)
    response = recorded["response"]
    expected = [json.loads(line) for line in "".join(text for _, text in response["chunks"]).splitlines()]
    try:
        found = await ask(client, recorded["request"])
    except ollama.ResponseError as error:
        assert error.status_code in (response["status"], -1)  # -1: a line of a stream
        assert name in OTHER_TEXT or error.error == expected[-1]["error"]
        return
    as_client_reads_it = [type(found[0])(**chunk) for chunk in expected]
    assert_same_chunks(
        name, *([each.model_dump(exclude_none=True) for each in side] for side in (found, as_client_reads_it))
    )


async def ask(client: ollama.AsyncClient, request: Any) -> list[Any]:
    """The client's call for a request, and all it gives."""
    asked = given(request)
    match request["path"].rpartition("/")[2]:
        case "tags":
            return [await client.list()]
        case "ps":
            return [await client.ps()]
        case "show":
            return [await client.show(asked["model"])]
        case "embed":
            return [await client.embed(**asked)]
        case "pull":
            call = client.pull(asked.get("model", ""), stream=asked.get("stream", True))
        case "chat":
            call = client.chat(**{"stream": True, **asked})
    answer: Any = await call
    return [each async for each in answer] if hasattr(answer, "__aiter__") else [answer]


def test_chat_client_leaves(server: ModelServer) -> None:
    recorded = recording("chat-client-leaves")
    with closing(server.begin("POST", "/api/chat", body=body(recorded["request"]))) as connection:
        response = connection.getresponse()
        read = [json.loads(response.readline()) for _ in range(5)]
        assert kinds(read) == kinds(recorded_chunks(recorded))
        assert response.status == recorded["response"]["status"]


def test_chat_after_client_left(small: ModelServer) -> None:
    small.load(num_ctx=4096)
    with closing(small.begin_chat(messages=user("Write a very long story."), options={"num_ctx": 4096})) as connection:
        connection.getresponse().readline()
    recorded = recording("chat-after-client-left")
    request = {
        **recorded["request"],
        "body": {**recorded["request"]["body"], "options": {"num_predict": 2, "num_ctx": 4096}},
    }
    assert_same(replay(small, request), recorded)


def test_chat_waited(small: ModelServer) -> None:
    """Its one slot is taken: no header comes before that is free."""
    small.load()
    recorded = recording("chat-waited")
    with closing(small.begin_chat(messages=user("Write a very long story."), options=ENDLESS)) as first:
        response = first.getresponse()
        waiting = Listening(small.begin("POST", "/api/chat", body=body(recorded["request"])))
        assert all(response.readline() for _ in range(40))
        assert not waiting.is_answered
    assert kinds(waiting.wait()) == kinds(recorded_chunks(recorded))


def test_chat_busy(small: ModelServer) -> None:
    """One request is answered, one waits for the load of another context, and one more may not wait."""
    small.load()
    recorded = recording("chat-busy")
    with ExitStack() as stack:
        answered = stack.enter_context(
            closing(small.begin_chat(messages=user("Write a very long story."), options=ENDLESS))
        )
        assert answered.getresponse().readline()
        waits = stack.enter_context(closing(small.begin_chat(messages=[], options={"num_ctx": 1280})))
        wait_for(lambda: replay(small, recorded["request"]).status == recorded["response"]["status"])
        assert_same(replay(small, recorded["request"]), recorded)
        answered.close()
        assert received(waits.getresponse()).last["done_reason"] == "load"


def test_chat_runner_killed(server: ModelServer) -> None:
    server.load()
    recorded = recording("chat-runner-killed")
    with closing(server.begin("POST", "/api/chat", body=body(recorded["request"]))) as connection:
        response = connection.getresponse()
        begun = [response.readline().decode() for _ in range(5)]
        assert server.runner
        server.runner.kill()
        answer = received(response)
    assert_same(Exchange(answer.status, answer.headers, begun + answer.lines, answer.ended), recorded)


def test_chat_after_runner_killed(server: ModelServer) -> None:
    server.load()
    assert server.runner
    server.runner.kill()
    wait_for(lambda: not server.loaded())
    recorded = recording("chat-after-runner-killed")
    assert_same(replay(server, recorded["request"]), recorded)


def test_chat_server_killed() -> None:
    recorded = recording("chat-server-killed")
    with model_server() as server:
        connection = server.begin("POST", "/api/chat", body=body(recorded["request"]))
        with closing(connection):
            response = connection.getresponse()
            begun = [response.readline().decode() for _ in range(5)]
            server.process.kill()
            server.process.wait()
            answer = received(response)
    assert_same(Exchange(answer.status, answer.headers, begun + answer.lines, answer.ended), recorded)


def recorded_chunks(recorded: Any) -> list[Any]:
    return [json.loads(text) for _, text in recorded["response"]["chunks"]]
