import pytest

from agents.ollama import (
    BadReply,
    Client,
    parse_structured,
)
from tests.agents.ollama.asking import chat, text_of
from tests.fake_ollama import FakeOllama

SCHEMA = {
    "type": "object",
    "properties": {"option": {"enum": ["A", "B"]}, "confidence": {"type": "integer", "minimum": 0}},
    "required": ["option"],
    "additionalProperties": False,
}


async def test_rule_8_reply_that_keeps_the_schema_is_parsed(fake: FakeOllama, client: Client) -> None:
    reply = text_of(await chat(client, format=SCHEMA))

    assert fake.stats.bodies[-1]["format"] == SCHEMA
    assert parse_structured(reply, SCHEMA) == {"option": "A", "confidence": 0}


async def test_rule_8_reply_that_breaks_the_schema_is_refused(fake: FakeOllama, client: Client) -> None:
    fake.script(bad_json=True)

    with pytest.raises(BadReply) as caught:
        parse_structured(text_of(await chat(client, format=SCHEMA)), SCHEMA)

    assert (caught.value.fault, caught.value.retryable) == ("model", False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"option": "A"', "The reply is not valid JSON: unexpected end of data: line 1 column 15 (char 14)"),
        ("", "The reply is not valid JSON: Input is a zero-length, empty document: line 1 column 1 (char 0)"),
        ('["A"]', "The reply is not a JSON object."),
        ('{"option": "C"}', "The reply breaks its schema at $.option: 'C' is not one of ['A', 'B']"),
        ("{}", "The reply breaks its schema at $: 'option' is a required property"),
    ],
)
def test_rule_8_words_say_where_the_reply_is_wrong(text: str, words: str) -> None:
    with pytest.raises(BadReply) as caught:
        parse_structured(text, SCHEMA)

    assert caught.value.message == words
