"""The chat of the fake: a script played to one client."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any

import orjson

from tests.fake_ollama.connection import Connection
from tests.fake_ollama.models import Memory, timestamp
from tests.fake_ollama.script import Script, prompt_tokens, reply_tokens, thinking_tokens
from tests.fake_ollama.stats import Stats, StreamSeen

HTML = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please sign in to the network.</body></html>"
ENDLESS = 1 << 40
BURST = 64
"""Tokens written before others get their turn, where no rate is set."""


class Fault(Exception):
    """The script's fault has happened and the exchange is over."""


@dataclass(slots=True)
class Generation:
    connection: Connection
    script: Script
    request: dict[str, Any]
    memory: Memory
    stats: Stats
    seen: StreamSeen
    load_seconds: float = 0.0

    async def play(self) -> None:
        """Waits for its slot without a byte, like Ollama, then answers."""
        end = "left"
        try:
            if await self._refused():
                end = "fault"
                return
            num_ctx = (self.request.get("options") or {}).get("num_ctx")
            self.load_seconds = await self.memory.load(self.request["model"], num_ctx)
            async with self.memory.slot(self.request["model"]):
                self.stats.generating_now += 1
                self.stats.max_generating = max(self.stats.max_generating, self.stats.generating_now)
                try:
                    await self._answer()
                finally:
                    self.stats.generating_now -= 1
            end = "done"
        except Fault:
            end = "fault"
        finally:
            self.stats.closed(self.seen, end)

    async def _refused(self) -> bool:
        script, tokens = self.script, prompt_tokens(self.script, self.request)
        if script.status is not None:
            await asyncio.sleep(script.first_token_delay)
            self.connection.reply(script.status, script.body)
        elif script.html_with_200:
            self.connection.reply(200, HTML, content_type="text/html; charset=utf-8")
        elif script.n_ctx is not None and tokens > script.n_ctx and self.request.get("truncate") is False:
            self.connection.reply(400, {"error": orjson.dumps(too_long(tokens, script.n_ctx)).decode()})
        else:
            return False
        return True

    async def _answer(self) -> None:
        await asyncio.sleep(self.script.first_token_delay)
        if self.request.get("stream", True):
            await self._stream()
        else:
            self.connection.reply(200, self._whole())

    async def _stream(self) -> None:
        loop = asyncio.get_running_loop()
        began, rate = loop.time(), self.script.rate
        await self._fault_before()
        self.connection.begin_chunks()
        began += await self._held(0)
        await self._fault_after(0)
        for number, part in enumerate(self._parts(), start=1):
            if rate and (wait := began + (number - 1) / rate - loop.time()) > 0:
                await asyncio.sleep(wait)
            elif number % BURST == 0:
                await asyncio.sleep(0)
            await self.connection.drain()
            self.connection.chunk(self._line(part))
            self.seen.sent()
            began += await self._held(number)
            await self._fault_after(number)
        if not self.script.missing_done:
            self.connection.chunk(self._last_line())
        self.connection.end_chunks()

    async def _held(self, sent: int) -> float:
        """For how many seconds."""
        if sent != self.script.hold_after:
            return 0.0
        began = time.monotonic()
        await self.script.released.wait()
        return time.monotonic() - began

    async def _fault_before(self) -> None:
        if self.script.silence_after == 0:
            await asyncio.Event().wait()
        if self.script.cut_after == 0:
            self.connection.cut(reset=self.script.reset)
            raise Fault

    async def _fault_after(self, sent: int) -> None:
        script, connection = self.script, self.connection
        if sent == script.silence_after:
            await asyncio.Event().wait()
        if sent == script.cut_after:
            connection.write(b'5a\r\n{"model":"')
            connection.cut(reset=script.reset)
            raise Fault
        if sent == script.error_line_after:
            line = orjson.dumps({"error": script.error}) + b"\n"
        elif sent == script.junk_line_after:
            line = b"]]> this is no JSON\n"
        elif sent == script.truncated_line_after:
            line = self._line({"message": {"content": "lost"}})[:40]
        else:
            return
        connection.chunk(line)
        connection.end_chunks()
        raise Fault

    def _parts(self) -> Iterator[dict[str, Any]]:
        """What differs from line to line."""
        thinking, content = self._tokens()
        if self.script.inline_thinking and thinking:
            for text in ("<th", "ink>", *thinking, "</thi", "nk>\n\n"):
                yield {"message": {"role": "assistant", "content": text}}
        else:
            for text in thinking:
                yield {"message": {"role": "assistant", "content": "", "thinking": text}}
        top = self.request.get("top_logprobs", 0)
        for text in content:
            part: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
            yield part | {"logprobs": [logprob(text, top)]} if self.request.get("logprobs") else part
        if self.script.tool_calls:
            message = {"role": "assistant", "content": "", "tool_calls": self.script.tool_calls}
            yield {"message": message}

    def _tokens(self) -> tuple[list[str], list[str]]:
        """(thinking, content) as far as `num_predict` and the context let them."""
        thinking, content = thinking_tokens(self.script), reply_tokens(self.script, self.request)
        room = self._room()
        return thinking[:room], content[: max(0, room - len(thinking))]

    def _room(self) -> int:
        limit = (self.request.get("options") or {}).get("num_predict", -1)
        room = limit if limit >= 0 else ENDLESS
        if self.script.n_ctx is not None:
            room = min(room, self.script.n_ctx - prompt_tokens(self.script, self.request))
        return room

    def _line(self, part: dict[str, Any]) -> bytes:
        line = {"model": self.request["model"], "created_at": timestamp(), **part, "done": False}
        return orjson.dumps(line) + b"\n"

    def _last_line(self) -> bytes:
        message = {"role": "assistant", "content": ""}
        return orjson.dumps(self._head() | {"message": message} | self._end()) + b"\n"

    def _whole(self) -> dict[str, Any]:
        thinking, content = self._tokens()
        message = {"role": "assistant", "content": "".join(content)}
        if thinking:
            message["thinking"] = "".join(thinking)
        return self._head() | {"message": message} | self._end()

    def _head(self) -> dict[str, Any]:
        return {"model": self.request["model"], "created_at": timestamp()}

    def _end(self) -> dict[str, Any]:
        thinking, content = self._tokens()
        said_all = len(thinking) + len(content)
        wanted = len(thinking_tokens(self.script)) + len(reply_tokens(self.script, self.request))
        prompt = prompt_tokens(self.script, self.request)
        generating = time.monotonic() - (self.seen.first_token or time.monotonic())
        end = {
            "done": True,
            "done_reason": "length" if said_all < wanted else self.script.done_reason,
            "total_duration": nanoseconds(time.monotonic() - self.seen.asked),
            "load_duration": nanoseconds(self.load_seconds),
            "prompt_eval_count": prompt,
            "prompt_eval_duration": nanoseconds(self.script.first_token_delay),
            "eval_count": said_all,
            "eval_duration": nanoseconds(generating),
        }
        return {name: value for name, value in end.items() if value != 0}


def logprob(text: str, top: int) -> dict[str, Any]:
    """A token of probability ½ whose alternatives halve from one to the next."""
    shown = {"token": text, "logprob": log(0.5), "bytes": list(text.encode())}
    letters = (chr(ord("A") + n) for n in range(top))
    others = [text, *(letter for letter in letters if letter != text)][:top]
    return shown | {
        "top_logprobs": [
            {"token": other, "logprob": log(0.5) * (n + 1), "bytes": list(other.encode())}
            for n, other in enumerate(others)
        ]
    }


def too_long(n_prompt_tokens: int, n_ctx: int) -> dict[str, Any]:
    words = f"request ({n_prompt_tokens} tokens) exceeds the available context size ({n_ctx} tokens)"
    inner = {"code": 400, "message": words, "type": "exceed_context_size_error"}
    return {"error": inner | {"n_prompt_tokens": n_prompt_tokens, "n_ctx": n_ctx}}


def nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
