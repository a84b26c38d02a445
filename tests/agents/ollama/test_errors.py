from contextlib import aclosing

import pytest

from agents.ollama import (
    BadReply,
    BadRequest,
    Client,
    Deadlines,
    HostBusy,
    HostUnreachable,
    ModelFailed,
    ModelMissing,
    OllamaError,
    Stalled,
    StreamCut,
)
from agents.ollama.errors import error_for_status
from tests.agents.ollama.asking import MODEL, QUESTION, answer, chat, text_of
from tests.fake_ollama import FakeOllama, expected_text


async def test_rule_3_busy_host_says_so_at_once(fake: FakeOllama, client: Client) -> None:
    fake.set_host(max_queue=0, unload=True)

    with pytest.raises(HostBusy) as caught:
        await chat(client)

    assert (caught.value.fault, caught.value.retryable) == ("host", True)
    assert caught.value.message == "server busy, please try again.  maximum pending requests exceeded"


async def test_rule_3_waiting_for_a_slot_counts_into_the_first_token_deadline(fake: FakeOllama, client: Client) -> None:
    fake.set_host(slots=1)
    fake.script(silence_after=1)
    async with aclosing(client.chat(model=MODEL, messages=QUESTION, deadlines=Deadlines())) as holder:
        await anext(holder)

        with pytest.raises(Stalled) as caught:
            await chat(client, deadlines=Deadlines(first_token=0.2))

    assert caught.value.deadline == "first_token"
    assert fake.stats.max_generating == 1


async def test_rule_4_missing_model_tells_which_models_there_are(client: Client) -> None:
    with pytest.raises(ModelMissing) as caught:
        await chat(client, model="llama9")

    assert caught.value.available == [MODEL, "thinker:latest", "vectors:latest"]
    assert caught.value.message == (f"This host has no model “llama9”. It has {MODEL}, thinker:latest, vectors:latest.")
    assert (caught.value.fault, caught.value.retryable) == ("caller", False)


async def test_rule_4_missing_model_is_told_even_where_the_list_fails(fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(404, '{"error":"model \'llama9\' not found"}'))
    fake.replay(answer(500, '{"error":"no list"}'))

    with pytest.raises(ModelMissing) as caught:
        await chat(client, model="llama9")

    assert caught.value.message == "This host has no model “llama9”."


async def test_rule_4_pulled_model_is_there_afterwards(client: Client) -> None:
    steps = [step async for step in client.pull("llama9")]

    assert [(step.status, step.completed, step.total) for step in steps] == [
        ("pulling manifest", None, None),
        ("pulling 941f309b54ca", 50, 100),
        ("pulling 941f309b54ca", 100, 100),
        ("success", None, None),
    ]
    assert text_of(await chat(client, model="llama9")) == expected_text(20)


async def test_rule_4_pull_that_breaks_off_says_so(fake: FakeOllama, client: Client) -> None:
    cut = answer(200, '{"status":"pulling manifest"}\n')
    cut["response"] |= {"ended": "cut", "headers": {"Transfer-Encoding": "chunked"}}
    fake.replay(cut)
    steps = client.pull("llama9")

    assert (await anext(steps)).status == "pulling manifest"
    with pytest.raises(StreamCut):
        await anext(steps)


FAULTS = [
    (400, "anything", BadRequest, "caller", False),
    (401, "unauthorized", BadRequest, "caller", False),
    (404, "model 'x' not found", ModelMissing, "caller", False),
    (404, "404 page not found", BadRequest, "caller", False),
    (429, "slow down", HostBusy, "host", True),
    (500, 'option "num_ctx" must be of type integer', BadRequest, "caller", False),
    (500, 'invalid format: "yaml"', BadRequest, "caller", False),
    (500, "llama runner process has terminated", ModelFailed, "model", True),
    (501, "This server does not support embeddings.", BadRequest, "caller", False),
    (502, "Bad Gateway", HostUnreachable, "host", True),
    (503, "server busy", HostBusy, "host", True),
    (504, "Gateway Timeout", HostUnreachable, "host", True),
    (302, "", BadReply, "host", False),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: f"{case[0]} {case[1]}")
async def test_rule_10_fault_is_told_from_status_and_words(
    case: tuple[int, str, type[OllamaError], str, bool], fake: FakeOllama, client: Client
) -> None:
    status, words, *expected = case
    fake.replay(answer(status, words))

    with pytest.raises(OllamaError) as caught:
        await chat(client)

    assert [type(caught.value), caught.value.fault, caught.value.retryable] == expected


def test_rule_10_json_inside_json_is_unwrapped_for_people() -> None:
    nested = '{"error":"{\\"error\\":{\\"code\\":400,\\"message\\":\\"No images, please.\\",\\"type\\":\\"x\\"}}"}'

    assert error_for_status(400, nested).message == "No images, please."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "The host answered with HTTP status 500 and no words."),
        ("null", "null"),
        ('{"error": 5}', "The host answered with HTTP status 500 and no words."),
        ("<html><body>Oops</body></html>", "A page of HTML came instead of an answer: is it Ollama at this address?"),
        ("x" * 9000, "x" * 500),
    ],
)
def test_rule_10_body_without_ollamas_words_still_gives_words(body: str, words: str) -> None:
    assert error_for_status(500, body).message == words


def test_rule_10_kinds_are_distinct_words_for_storage() -> None:
    kinds = [error.kind for error in OllamaError.__subclasses__()]

    assert sorted(kinds) == [
        "bad_reply",
        "bad_request",
        "context_full",
        "host_busy",
        "host_unreachable",
        "model_failed",
        "model_missing",
        "stalled",
        "stream_cut",
    ]


async def test_rule_10_endless_words_of_an_error_are_not_read_to_their_end(fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(500, "x" * 10_000_000))

    with pytest.raises(ModelFailed) as caught:
        await chat(client)

    assert caught.value.message == "x" * 500


async def test_rule_10_text_that_is_no_json_is_the_callers_fault(client: Client) -> None:
    with pytest.raises(BadRequest):
        await chat(client, messages=[{"role": "user", "content": "\ud800"}])
