"""What the fake is told to do: how a reply goes, and what goes wrong with it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import orjson

from tests.fake_ollama import voting

WIDTH = 8


def token(number: int, *, seed: str = "") -> str:
    """The token at `number`: eight characters that say their own offset, so that any loss or repetition shows."""
    if not seed:
        return f"{number:07d} "
    return f"{crc32(seed.encode()) % 4096:03x}{number % 10_000:04d} "


def expected_text(n: int, *, seed: str = "") -> str:
    """The reply of `n` tokens; `seed` is the last message where the script says `per_prompt`."""
    return "".join(token(number, seed=seed) for number in range(n))


def expected_thinking(n: int) -> str:
    return "".join(f"t{number:06d} " for number in range(n))


@dataclass(slots=True)
class Script:
    """A reply. Times in seconds, rates in tokens per second, `…_after` in tokens sent before it happens."""

    tokens: int | list[str] = 20
    text: str | None = None
    """Instead of tokens: sent word by word."""
    per_prompt: bool = False
    """Make the tokens depend on the last message, so that two chats never say the same."""
    rate: float = 0.0
    """0: as fast as the client takes them."""
    first_token_delay: float = 0.0
    thinking: int | list[str] = 0
    inline_thinking: bool = False
    """As older templates do: `<think>…</think>` in the content."""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    done_reason: str = "stop"
    prompt_tokens: int | None = None
    """What `prompt_eval_count` says; None: estimated at four characters each."""
    n_ctx: int | None = None
    """A longer prompt is refused, a reply that fills it ends with `length`."""

    status: int | None = None
    body: str = '{"error":"scripted"}'
    error_line_after: int | None = None
    error: str = "an error was encountered while running the model: unexpected EOF"
    junk_line_after: int | None = None
    truncated_line_after: int | None = None
    missing_done: bool = False
    cut_after: int | None = None
    """The connection breaks inside a chunk: with a FIN, or with `reset`."""
    reset: bool = False
    silence_after: int | None = None
    hold_after: int | None = None
    """It stands still until `FakeOllama.release`: what is looked at meanwhile is there on any machine."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    html_with_200: bool = False
    bad_json: bool = False
    """A reply that is JSON but breaks the asked schema."""
    votes: str = ""
    """What a ballot, or a single token, is to vote for: one of the answers by letter that its prompt lists, in its
    words; empty: the first."""
    json_tokens: int = 0
    """Into how many tokens a reply by schema is cut; 0: at its spaces."""


@dataclass(slots=True)
class PullScript:
    """How a pull goes: one part of so many bytes, told in so many steps."""

    total: int = 100
    steps: int = 2
    hold_after: int | None = None
    """Steps after which it stands still until `FakeOllama.release_pulls`."""
    error: str = ""
    """An error line in place of the last step, in Ollama's words."""
    missing_success: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Rule:
    """Which requests a script is for: None means any; the newest rule that fits wins, `times` times."""

    script: Script
    model: str | None = None
    containing: str | None = None
    """A text that must stand in one of the messages."""
    times: int | None = None

    def fits(self, request: Mapping[str, Any]) -> bool:
        if self.times == 0 or self.model not in (None, request["model"]):
            return False
        return self.containing is None or any(self.containing in said(m) for m in request["messages"])


def said(message: Mapping[str, Any]) -> str:
    return message.get("content") or ""


def prompt_tokens(script: Script, request: Mapping[str, Any]) -> int:
    if script.prompt_tokens is not None:
        return script.prompt_tokens
    return sum(4 + len(said(message)) // 4 for message in request["messages"])


def reply_tokens(script: Script, request: Mapping[str, Any]) -> list[str]:
    """The content of the reply to `request`, before `num_predict` and context cut it."""
    match request.get("format"):
        case dict() | "json" if script.bad_json:
            return words('{"unexpected": true}')
        case dict() as schema if script.text is None:
            return json_tokens(script, schema, request)
        case "json" if script.text is None:
            return words('{"answer": "yes"}')
    return words(script.text) if script.text is not None else free_tokens(script, request)


def free_tokens(script: Script, request: Mapping[str, Any]) -> list[str]:
    if script.votes and (request.get("options") or {}).get("num_predict") == 1:
        return [voting.letter_of(script.votes, request)]
    if isinstance(script.tokens, list):
        return script.tokens
    seed = said(request["messages"][-1]) if script.per_prompt else ""
    return [token(number, seed=seed) for number in range(script.tokens)]


def json_tokens(script: Script, schema: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    value = instance_of(schema, schema)
    if script.votes and "option" in schema.get("properties", {}):
        value |= voting.ballot(schema, request, answer=script.votes)
    text = to_json(value)
    return voting.cut(text, tokens=script.json_tokens) if script.json_tokens else words(text)


def thinking_tokens(script: Script) -> list[str]:
    if isinstance(script.thinking, list):
        return script.thinking
    return [f"t{number:06d} " for number in range(script.thinking)]


def words(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]]


def to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def several(items: Mapping[str, Any], root: Mapping[str, Any], *, number: int) -> list[Any]:
    """Different ones, where the schema leaves the choice."""
    match items:
        case {"enum": values}:
            return [values[place % len(values)] for place in range(number)]
        case {"type": "string"} if number > 1:
            return [f"{place} because"[: items.get("maxLength")] for place in range(1, number + 1)]
    return [instance_of(items, root)] * number


def instance_of(  # noqa: PLR0911 - one for each kind of schema
    schema: Mapping[str, Any], root: Mapping[str, Any]
) -> Any:
    """The first value one would think of that keeps `schema`; knows what our own schemas use."""
    match schema:
        case {"$ref": str(ref)}:
            return instance_of(root["$defs"][ref.rpartition("/")[2]], root)
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
            return instance_of(first, root)
        case {"type": "object"}:
            return {name: instance_of(inner, root) for name, inner in schema.get("properties", {}).items()}
        case {"type": "array"}:
            return several(schema.get("items", {}), root, number=schema.get("minItems", 1))
        case {"type": "integer" | "number"}:
            return schema.get("minimum", 0)
        case {"type": "boolean"}:
            return True
        case {"type": "null"}:
            return None
    return "because".ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
