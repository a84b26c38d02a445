"""The chat stream, which is also the hot loop of a worker: every token passes here.

The official client's `chat` cannot send `truncate` and `shift` (0.6.3), and without them Ollama drops
text silently (ollama.md, rule 5).
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from agents.ollama.deadlines import Deadlines, Watch
from agents.ollama.errors import BadReply, BadRequest, ModelMissing, StreamCut, error_for_line
from agents.ollama.models import model_names
from agents.ollama.wire import parse, post_lines
from agents.thinking import ThinkSplitter

NANOSECONDS = 1e9


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
    tool_calls: Sequence[dict[str, Any]] = ()
    logprobs: Sequence[dict[str, Any]] = ()
    done: bool = False
    done_reason: str = ""
    stats: Stats | None = None


async def stream_chat(
    http: httpx.AsyncClient, request: Mapping[str, Any], *, deadlines: Deadlines
) -> AsyncGenerator[Chunk, None]:
    splitter: ThinkSplitter | None = ThinkSplitter()
    async with aclosing(_lines(http, request, deadlines=deadlines)) as lines:
        async for line in lines:
            message = line["message"]
            content, thinking = message.get("content") or "", message.get("thinking") or ""
            done = line.get("done", False)
            if thinking:
                splitter = None  # this server splits by itself
            if splitter is not None:
                content, thinking = splitter.feed(content, last=done)
                if splitter.finished:
                    splitter = None
            calls, logprobs = message.get("tool_calls") or (), line.get("logprobs") or ()
            if content or thinking or calls or logprobs:
                yield Chunk(content, thinking, calls, logprobs)
            if done:
                yield Chunk(done=True, done_reason=line.get("done_reason", ""), stats=_stats(line))
                return
    raise StreamCut("The answer ended before it was complete.")


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
    if not isinstance(line.get("message"), dict):
        raise BadReply("A line of the host's answer has no message, which is not Ollama's protocol.")
    return line


def _stats(line: dict[str, Any]) -> Stats:
    return Stats(
        total_duration=line.get("total_duration", 0) / NANOSECONDS,
        load_duration=line.get("load_duration", 0) / NANOSECONDS,
        prompt_eval_duration=line.get("prompt_eval_duration", 0) / NANOSECONDS,
        eval_duration=line.get("eval_duration", 0) / NANOSECONDS,
        prompt_tokens=line.get("prompt_eval_count", 0),
        output_tokens=line.get("eval_count", 0),
    )
