"""The chat stream, which is also the hot loop of a worker: every token passes here.

The official client's `chat` cannot send `truncate` and `shift` (0.6.3), and without them Ollama drops
text silently (ollama.md, rule 5).
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from agents.ollama.deadlines import Deadlines, Watch
from agents.ollama.errors import BadReply, BadRequest, ModelMissing, OllamaError, StreamCut, error_for_line
from agents.ollama.models import model_names
from agents.ollama.wire import parse, post_lines
from agents.thinking import ThinkSplitter

NANOSECONDS = 1e9

Objects = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stats:
    """What the last line tells; durations in seconds. Ollama leaves out what is zero."""

    total_duration: float = 0.0
    load_duration: float = 0.0
    prompt_eval_duration: float = 0.0
    eval_duration: float = 0.0
    prompt_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens_per_second(self) -> float:
        return self.output_tokens / self.eval_duration if self.eval_duration else 0.0

    @property
    def context_tokens(self) -> int:
        """How much of the context is taken after this reply."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a reply. The last one alone has `done`, `done_reason` and `stats`, and never any text."""

    content: str = ""
    thinking: str = ""
    tool_calls: Objects = ()
    logprobs: Objects = ()
    done: bool = False
    done_reason: str = ""
    stats: Stats | None = None


async def stream_chat(
    http: httpx.AsyncClient, request: Mapping[str, Any], *, deadlines: Deadlines
) -> AsyncGenerator[Chunk, None]:
    splitter: ThinkSplitter | None = ThinkSplitter()
    async with aclosing(_lines(http, request, deadlines=deadlines)) as lines:
        async for line in lines:
            content, thinking, tool_calls, logprobs = _message(line)
            done = line.get("done", False)
            if thinking:
                splitter = None  # this server splits by itself
            if splitter is not None:
                content, thinking = splitter.feed(content, last=done)
                if splitter.finished:
                    splitter = None
            if content or thinking or tool_calls or logprobs:
                yield Chunk(content, thinking, tool_calls, logprobs)
            if done:
                await _read_to_the_end(lines, within=deadlines.end)
                yield Chunk(done=True, done_reason=str(line.get("done_reason") or ""), stats=_stats(line))
                return
    raise StreamCut("The answer ended before it was complete.")


async def _read_to_the_end(lines: AsyncGenerator[dict[str, Any], None], *, within: float) -> None:
    """The end of the answer follows its last line at once; whoever has read it can use the connection again."""
    with suppress(OllamaError, TimeoutError):
        async with asyncio.timeout(within):
            async for _ in lines:
                pass


async def _lines(
    http: httpx.AsyncClient, request: Mapping[str, Any], *, deadlines: Deadlines
) -> AsyncGenerator[dict[str, Any], None]:
    """Lines with a message in them; raises what an error line says."""
    try:
        with closing(Watch(deadlines)) as watch:
            async with aclosing(post_lines(http, "/api/chat", _body(request), watch=watch)) as lines:
                async for text in lines:
                    if text:
                        yield _parse(text)
    except ModelMissing:
        raise ModelMissing(request["model"], available=await model_names(http)) from None


def _body(request: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(request)
    except orjson.JSONEncodeError as error:
        raise BadRequest(f"The request can't be written as JSON: {error}") from None


def _parse(text: bytes) -> dict[str, Any]:
    line = parse(text)
    if "error" in line:
        raise error_for_line(line)
    return line


def _message(line: dict[str, Any]) -> tuple[str, str, Objects, Objects]:
    """(content, thinking, tool_calls, logprobs); any of them may be absent or null."""
    message = line.get("message")
    if isinstance(message, dict):
        content, thinking = message.get("content") or "", message.get("thinking") or ""
        tool_calls, logprobs = message.get("tool_calls") or (), line.get("logprobs") or ()
        texts = isinstance(content, str) and isinstance(thinking, str)
        if texts and isinstance(tool_calls, list | tuple) and isinstance(logprobs, list | tuple):
            return content, thinking, tool_calls, logprobs
    raise BadReply("A line of the host's answer has no proper message, which is not Ollama's protocol.")


def _stats(line: dict[str, Any]) -> Stats:
    return Stats(
        total_duration=_count(line, "total_duration") / NANOSECONDS,
        load_duration=_count(line, "load_duration") / NANOSECONDS,
        prompt_eval_duration=_count(line, "prompt_eval_duration") / NANOSECONDS,
        eval_duration=_count(line, "eval_duration") / NANOSECONDS,
        prompt_tokens=_count(line, "prompt_eval_count"),
        output_tokens=_count(line, "eval_count"),
    )


def _count(line: dict[str, Any], name: str) -> int:
    value = line.get(name)
    return value if isinstance(value, int) else 0
