"""What the embedded model server does beyond the recorded exchanges: streams, limits, leaving clients, its own end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jsonschema
import psutil
import pytest

from lobby.embedded.model_server import llama, weights, wire
from tests.lobby.embedded.model_servers import (
    COMMAND,
    ENDLESS,
    MODEL,
    PATIENCE,
    Listening,
    ModelServer,
    address,
    model_server,
    process,
    received,
    user,
)
from tests.waiting import wait_for

STORY = user("Write a very long story.")
BALLOT = {
    "type": "object",
    "properties": {
        "option": {"type": "string", "enum": ["A", "B", "ABSTAIN"]},
        "confidence": {"type": "integer", "minimum": 0, "maximum": 100},
        "reason": {"type": "string", "maxLength": 40},
    },
    "required": ["option", "confidence", "reason"],
}
QUESTION = [
    {"role": "system", "content": "You are a judge. Answer in JSON."},
    {"role": "user", "content": "Which number is larger? A: 3. B: 30. Give option, confidence 0-100 and a reason."},
]


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with model_server("--parallel", "2", "--context", "1024") as running:
        yield running


@pytest.fixture(scope="module")
def narrow() -> Iterator[ModelServer]:
    """One slot."""
    with model_server("--parallel", "1", "--context", "1024") as running:
        running.load()
        yield running


def test_a_character_is_never_cut_where_the_reply_ends(server: ModelServer) -> None:
    replies = [server.say("Repeat exactly: 🙂🙂🙂 你好", temperature=0, num_predict=length) for length in range(1, 9)]
    assert any(not reply.text.isascii() for reply in replies)
    assert [reply.text for reply in replies if "\ufffd" in reply.text] == []


async def test_a_line_separator_inside_a_reply_does_not_end_its_line() -> None:
    answer = httpx.Response(200, content='data: {"content":"a\u2028b\x85c"}\n\ndata: {}\n\n'.encode())
    read = [llama.event(line) async for line in llama.lines(answer)]
    assert read == [{"content": "a\u2028b\x85c"}, {}]


def test_a_stop_sequence_is_not_in_the_text_even_where_it_begins_in_a_token(server: ModelServer) -> None:
    free = server.say("Count: one, two, three, four.", temperature=0, num_predict=30)
    stop = free.text[11:16]
    reply = server.say("Count: one, two, three, four.", temperature=0, num_predict=30, stop=[stop])
    assert (reply.text, reply.last["done_reason"]) == (free.text[: free.text.index(stop)], "stop")


def test_num_predict_ends_a_reply_with_length(server: ModelServer) -> None:
    reply = server.chat(messages=STORY, options={"temperature": 0, "num_predict": 7})
    assert (reply.last["done_reason"], reply.last["eval_count"]) == ("length", 7)


def test_the_same_seed_says_the_same(server: ModelServer) -> None:
    options = {"seed": 11, "temperature": 1, "num_predict": 12}
    first, second = (server.chat(messages=STORY, options=options).text for _ in range(2))
    assert first == second


@pytest.mark.parametrize("seed", range(4))
def test_a_schema_binds_the_reply_and_allows_no_other_name(server: ModelServer, seed: int) -> None:
    options = {"temperature": 1, "seed": seed, "num_predict": 160}
    reply = server.chat(messages=QUESTION, format=BALLOT, stream=False, options=options)
    assert reply.last["done_reason"] == "stop"
    ballot = json.loads(reply.text)
    jsonschema.validate(ballot, {**BALLOT, "additionalProperties": False})


def test_a_schema_with_what_a_grammar_cannot_say_still_binds_the_rest(server: ModelServer) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2], "not": {"const": 1}}}, "required": ["a"]}
    reply = server.chat(messages=QUESTION, format=schema, options={"temperature": 0, "num_predict": 60})
    assert json.loads(reply.text) in ({"a": 1}, {"a": 2})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)y"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}, "required": ["a"]},
        {"type": "integer", "minimum": 5, "maximum": 3},
        {"enum": []},
        json.loads('{"items":' * 400 + "{}" + "}" * 400),
    ],
    ids=["pattern", "reference", "range", "enumeration", "depth"],
)
def test_a_schema_that_cannot_be_followed_is_refused(server: ModelServer, schema: Any) -> None:
    reply = server.chat(messages=QUESTION, format=schema, options={"num_predict": 5})
    inside = json.loads(reply.last["error"])["error"]
    assert (reply.status, inside["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"type": "array", "items": {"type": "integer"}, "maxItems": 9}]
)
def test_a_loose_schema_does_not_end_in_white_space(server: ModelServer, schema: Any) -> None:
    reply = server.chat(messages=QUESTION, format=schema, options={"temperature": 0, "num_predict": 40})
    assert len(reply.text.split()) > 0
    assert "  " not in reply.text.replace("\n", " ")


def test_two_replies_stream_side_by_side_and_a_third_waits(server: ModelServer) -> None:
    first, second = (server.begin_chat(messages=STORY, options={"seed": seed}) for seed in (1, 2))
    with closing(first), closing(second):
        answers = [connection.getresponse() for connection in (first, second)]
        third = Listening(server.begin_chat(messages=STORY, options={"num_predict": 2}))
        for _ in range(20):
            assert all(json.loads(answer.readline())["done"] is False for answer in answers)
        assert not third.is_answered
    assert third.wait()[-1]["done"] is True


def test_a_client_that_leaves_frees_its_slot(narrow: ModelServer) -> None:
    with closing(narrow.begin_chat(messages=STORY, options=ENDLESS)) as connection:
        assert connection.getresponse().readline()
    assert narrow.chat(messages=STORY, options={"num_predict": 2}).last["done"] is True


def test_a_client_that_leaves_while_its_prompt_is_read_ends_the_reading(narrow: ModelServer) -> None:
    """Told by the work that is left undone; how long any of it takes depends on what else the machine does."""
    options = {"num_ctx": 8192, "num_predict": 1}
    narrow.load(num_ctx=8192)
    before = narrow.work()
    narrow.say("red " * 200, **options)
    part = narrow.work() - before
    before = narrow.work()
    with closing(narrow.begin_chat(messages=user("blue " * 7000), options=options)):
        wait_for(lambda: narrow.work() - before > part)
    narrow.say("hi", **options)
    assert narrow.work() - before < part * 7000 / 200 * 0.6


def test_a_client_that_leaves_while_it_waits_is_never_answered(narrow: ModelServer) -> None:
    with closing(narrow.begin_chat(messages=STORY, options=ENDLESS)) as connection:
        assert connection.getresponse().readline()
        with closing(narrow.begin_chat(messages=user("say a very long story too"), options=ENDLESS)) as waiting:
            waiting.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                waiting.getresponse()
    assert narrow.say("hi", num_predict=1).last["done"] is True


def test_without_shift_a_reply_ends_where_the_context_does(server: ModelServer) -> None:
    options = {"num_ctx": 256, "temperature": 0, "num_predict": 500, "stop": ["no such text"]}
    reply = server.chat(messages=user("Repeat for ever: la la la la la la la la"), shift=False, options=options)
    assert reply.last["done_reason"] == "length"
    assert reply.last["prompt_eval_count"] + reply.last["eval_count"] == 256


def test_with_shift_a_reply_goes_on_beyond_the_context(server: ModelServer) -> None:
    options = {"num_ctx": 256, "temperature": 0, "num_predict": 300}
    reply = server.chat(messages=user("Repeat for ever: la la la la la la la la"), options=options)
    assert (reply.last["done_reason"], reply.last["eval_count"]) == ("length", 300)


def test_a_history_too_long_loses_its_oldest_and_keeps_what_the_system_said(server: ModelServer) -> None:
    system, question = {"role": "system", "content": "Be brief."}, user("And now?")[0]
    early = [system, *user("first " * 200), *user("second " * 120)]
    options = {"num_predict": 1, "num_ctx": 256}
    counted = [
        server.chat(messages=messages, options=options).last["prompt_eval_count"]
        for messages in ([*early, question], [system, early[2], question])
    ]
    assert counted[0] == counted[1]


def test_a_prompt_too_long_is_refused_where_nothing_may_be_dropped(server: ModelServer) -> None:
    refused = server.chat(messages=user("word " * 2000), shift=False, options={"num_ctx": 256})
    assert (refused.status, refused.headers["content-type"]) == (400, "application/json")
    assert refused.last["error"].startswith("the prompt is longer than the context length")


def test_a_context_larger_than_the_model_was_trained_for_is_capped(server: ModelServer) -> None:
    server.load(num_ctx=100_000)
    assert [model["context_length"] for model in server.loaded()] == [8192]


def test_keep_alive_unloads_when_its_time_is_over_and_gives_the_memory_back(server: ModelServer) -> None:
    server.chat(messages=user("hi"), keep_alive="300ms", options={"num_predict": 1})
    wait_for(lambda: not server.loaded())
    wait_for(lambda: server.runner is None)


def test_keep_alive_zero_unloads_after_the_reply(server: ModelServer) -> None:
    assert server.chat(messages=user("hi"), keep_alive=0, options={"num_predict": 1}).status == 200
    wait_for(lambda: not server.loaded())


def test_keep_alive_below_zero_is_for_ever_until_told_otherwise(server: ModelServer) -> None:
    server.chat(messages=[], keep_alive=-1)
    server.load()
    expires = datetime.fromisoformat(server.loaded()[0]["expires_at"])
    assert expires > datetime.now(UTC) + timedelta(days=365)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_ctx": "big"}, 'option "num_ctx" must be of type integer'),
        ({"seed": True}, 'option "seed" must be of type integer'),
        ({"top_p": [1]}, 'option "top_p" must be of type float32'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
        ({"stop": "x"}, 'option "stop" must be of type array'),
        ({"stop": [1]}, 'option "stop" must be of an array of strings'),
    ],
)
def test_an_option_of_the_wrong_type_is_named(server: ModelServer, options: dict[str, Any], text: str) -> None:
    reply = server.chat(messages=user("hi"), options=options)
    assert (reply.status, reply.last) == (500, {"error": text})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("[]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        ('{"model": 1}', "json: cannot unmarshal number into Go struct field ChatRequest.model of type string"),
        (
            '{"top_logprobs": 1.5}',
            "json: cannot unmarshal number 1.5 into Go struct field ChatRequest.top_logprobs of type int",
        ),
        ('{"messages": ["hi"]}', "json: cannot unmarshal string into Go value of type api.Alias"),
        (
            '{"messages": [{"content": 1}]}',
            "json: cannot unmarshal number into Go struct field Alias.content of type string",
        ),
        ('{"model"', "unexpected EOF"),
        ('{"model" 1}', "invalid character '1' after object key"),
        ("nothing", "invalid character 'n' looking for beginning of value"),
        ('{"a": NaN}', "invalid character 'N' looking for beginning of value"),
        ("[" * 100_000, "exceeded max depth"),
        ('{"keep_alive": "5"}', 'time: missing unit in duration "5"'),
        ('{"keep_alive": "soon"}', 'time: invalid duration "soon"'),
        ('{"think": "much"}', 'invalid think value: "much" (must be "high", "medium", "low", "max", true, or false)'),
    ],
)
def test_a_malformed_request_gets_the_words_of_ollama(server: ModelServer, body: str, text: str) -> None:
    answer = server.ask("POST", "/api/chat", body=body.encode())
    assert (answer.status, answer.last) == (400, {"error": text})


@pytest.mark.parametrize("content", ["\ud800", "a\x00b", "\ufeff", "<|im_end|>"])
def test_odd_characters_are_answered(server: ModelServer, content: str) -> None:
    assert server.say(content, num_predict=1).status == 200


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400),
        ("300ms", 0.3),
        ("1.5s", 1.5),
        ("0", 0),
        ("2µs", 2e-6),
        ("-1m", wire.FOREVER),
        (90, 90),
        (-1, wire.FOREVER),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str | int, seconds: float) -> None:
    assert wire.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1_000_000_000, "1970-01-01T00:00:01Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_000_000_020, "1970-01-01T00:00:01.00000002Z"),
    ],
)
def test_a_moment_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    assert wire.moment(nanoseconds) == text


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:11434", "10.1.2.3", "box.local", "a.internal"])
def test_names_of_this_machine_and_its_network_are_let_in(server: ModelServer, host: str) -> None:
    assert server.ask("GET", "/", headers={"Host": host}).status == 200


@pytest.mark.parametrize("host", ["evil.example:11434", "8.8.8.8", "localhost.evil.example", "[::1", "127.0.0.1.evil"])
def test_other_hosts_are_kept_out(server: ModelServer, host: str) -> None:
    assert server.ask("GET", "/api/tags", headers={"Host": host}).status == 403


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "app://x", "chrome-extension://x"])
def test_local_origins_are_let_in(server: ModelServer, origin: str) -> None:
    assert server.ask("GET", "/", headers={"Host": "localhost", "Origin": origin}).status == 200


@pytest.mark.parametrize("origin", ["null", "http://10.0.0.1", "http://localhost.evil.example", "ftp://localhost"])
def test_other_origins_are_kept_out(server: ModelServer, origin: str) -> None:
    assert server.ask("GET", "/", headers={"Host": "localhost", "Origin": origin}).status == 403


def test_the_runner_answers_nobody_without_its_key(server: ModelServer) -> None:
    server.load()
    assert server.runner
    ports = [each.laddr.port for each in server.runner.net_connections() if each.status == psutil.CONN_LISTEN]
    assert len(ports) == 1
    answer = httpx.post(f"http://127.0.0.1:{ports[0]}/completion", json={"prompt": "hi"}, trust_env=False)
    assert answer.status_code == 401


def test_it_ends_when_told_to_even_while_it_speaks() -> None:
    with process(*COMMAND) as child:
        server = ModelServer(child, address(child))
        with closing(server.begin_chat(messages=STORY, options=ENDLESS)) as connection:
            answer = connection.getresponse()
            assert answer.readline()
            runner = server.runner
            child.send_signal(signal.SIGTERM)
            assert received(answer).ended == "cut"
        assert child.wait(PATIENCE) == 0
    assert runner and not runner.is_running()


def test_a_killed_server_leaves_no_runner() -> None:
    with process(*COMMAND) as child:
        server = ModelServer(child, address(child))
        server.load()
        runner = server.runner
        child.kill()
        assert runner
        runner.wait(PATIENCE)


def test_it_ends_when_the_process_that_started_it_is_killed() -> None:
    starter = f"import os, subprocess; subprocess.run({COMMAND!r} + ['--parent', str(os.getpid())])"
    with process(sys.executable, "-c", starter) as parent:
        url = address(parent)
        child = psutil.Process(parent.pid).children()[0]
        parent.kill()
        child.wait(PATIENCE)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", httpx.URL(url).port or 0)) != 0


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*COMMAND[:-1], str(taken.getsockname()[1])]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("model server: ")
    assert ended.stderr.count("\n") == 1


def test_it_knows_nothing_of_django() -> None:
    code = "import sys, lobby.embedded.model_server.__main__; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ}).returncode == 0


def test_a_file_that_is_no_model_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(b"not a model")
    with pytest.raises(weights.NoWeights, match=r"^odd\.gguf is not a GGUF file$"):
        weights.read(path)


def test_another_name_of_the_same_model_is_answered_under_that_name(server: ModelServer) -> None:
    answer = server.chat(model=f"library/{MODEL.upper()}", messages=[])
    assert answer.last["model"] == f"library/{MODEL.upper()}"
