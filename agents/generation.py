"""One attempt at a run: ask the model, pass on what it says, and tell how it ended."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import stamina
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from agents.breaker import SLOW_SECONDS, Breakers, Outcome
from agents.events import RunStarted
from agents.livetext import LiveRun, Publisher
from agents.models import Host, Run
from agents.ollama import Chunk, Client, ContextFull, Deadlines, ModelFailed, ModelMissing, OllamaError, Stats
from lobby import traces

COLD_FIRST_TOKEN = 300.0  # seconds, where the model has to be loaded first
KNOWN_LOADED_SECONDS = 120.0  # after a reply; Ollama unloads after 5 min by default
TRIES = 3
DEMONSTRATION_TOKENS = 512
NUL = "\x00"  # Postgres stores none


def in_order(schema: Any) -> Any:
    """A JSON schema with its properties as `required` names them, which is the order in which a grammar writes them.

    Postgres keeps the order of lists, and none of keys.
    """
    if isinstance(schema, list):
        return [in_order(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: in_order(value) for name, value in schema.items()}
    if isinstance(properties := found.get("properties"), dict):
        first = [name for name in found.get("required") or () if name in properties]
        found["properties"] = {name: properties[name] for name in dict.fromkeys([*first, *properties])}
    return found


class Hosts:
    """The clients of one process, one per address, and what they have seen loaded."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}
        self._contexts: dict[tuple[UUID, str], tuple[float, int | None]] = {}

    def client(self, host: Host) -> Client:
        if host.base_url not in self._clients:
            self._clients[host.base_url] = Client(host.base_url)
        return self._clients[host.base_url]

    async def context(self, host: Host, model: str) -> tuple[bool, int | None]:
        """Whether the model is loaded, and with which context (tokens), asking only where it is not known."""
        seen_at, context = self._contexts.get((host.pk, model), (float("-inf"), None))
        if time.monotonic() - seen_at < KNOWN_LOADED_SECONDS:
            return True, context
        with suppress(OllamaError):  # the chat itself will tell what is wrong
            for loaded in await self.client(host).loaded():
                if loaded.name == model:
                    self.saw(host, model, loaded.context_length)
                    return True, loaded.context_length
        return False, None

    def saw(self, host: Host, model: str, context: int | None) -> None:
        self._contexts[host.pk, model] = (time.monotonic(), context)

    def forget(self, host: Host, model: str) -> None:
        self._contexts.pop((host.pk, model), None)

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()


class Generation:
    def __init__(self, live: LiveRun, *, publisher: Publisher, breakers: Breakers, hosts: Hosts) -> None:
        self.live = live
        self.run = live.run
        self.host = _host_of(live.run)
        self.may_go_elsewhere = False
        self._publisher = publisher
        self._breakers = breakers
        self._hosts = hosts
        self._failures = 0

    async def result(self) -> dict[str, Any]:
        """The fields with which the run ends. Cancelled by its user or failed, it ends too, with the text it has."""
        stream = asyncio.create_task(self._stream_with_retries())
        cancelled = asyncio.create_task(self.live.cancelled.wait())
        try:
            await asyncio.wait({stream, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()
            if not stream.done():
                stream.cancel()  # closes the connection, which is how Ollama is told to stop
                await asyncio.wait({stream})
        return self._texts() | self._outcome(stream)

    def _texts(self) -> dict[str, Any]:
        live = self.live
        texts: dict[str, Any] = {"text": live.text.whole(), "thinking": live.thinking.whole()}
        if live.token_age is not None:
            texts["first_token_at"] = Coalesce(F("first_token_at"), Now() - timedelta(seconds=live.token_age))
        return texts | {"logprobs": live.logprobs or None}

    def _outcome(self, stream: "asyncio.Task[dict[str, Any]]") -> dict[str, Any]:
        if stream.cancelled():
            return {"status": Run.Status.CANCELLED}
        error = stream.exception()
        if error is None:
            return {"status": Run.Status.DONE} | stream.result()
        if not isinstance(error, OllamaError):
            raise error
        is_the_hosts = error.fault in ("host", "model") or isinstance(error, ModelMissing)
        self.may_go_elsewhere = is_the_hosts and not self.live.has_begun
        return {
            "status": Run.Status.INTERRUPTED if self.live.has_begun else Run.Status.FAILED,
            "error_kind": error.kind,
            "error": self._words(error),
            "error_detail": _detail(error),
        }

    def _words(self, error: OllamaError) -> str:
        return f"{error.message} (model host {self.host.name})" if error.fault == "host" else error.message

    async def _stream_with_retries(self) -> dict[str, Any]:
        loaded, context = await self._hosts.context(self.host, self.run.model)
        self._publisher.say(self.run.topic, self._started(loading=not loaded))
        # One 0.2 s pause, then 0.4 s, each with jitter; nothing is repeated once a token has come.
        async for attempt in stamina.retry_context(
            on=self._is_worth_a_retry, attempts=TRIES, timeout=None, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt, self._span() as note:
                stats, reason = await self._stream_once(loaded=loaded)
                note(self._usage(stats, reason))
        if context is None:
            _, context = await self._hosts.context(self.host, self.run.model)
        self._hosts.saw(self.host, self.run.model, context)
        return _figures(stats, reason) | {"context_length": self.run.options.get("num_ctx") or context}

    def _span(self) -> AbstractContextManager[traces.Note]:
        """Named and filled as OpenTelemetry's conventions for generative AI say."""
        run = self.run
        asked = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "ollama",
            "gen_ai.request.model": run.model,
            "gen_ai.agent.id": str(run.agent_id or ""),
            "server.address": self.host.base_url,
            "lobby.run.id": str(run.pk),
            "lobby.run.purpose": run.purpose,
            "gen_ai.input.messages": orjson.dumps(run.messages).decode() if traces.WITH_CONTENT else None,
        }
        return traces.span(f"chat {run.model}", asked, trace=run.request_id, parent=run.request_span)

    def _usage(self, stats: Stats, reason: str) -> dict[str, Any]:
        used = {
            "gen_ai.usage.input_tokens": stats.prompt_tokens,
            "gen_ai.usage.output_tokens": stats.output_tokens,
            "gen_ai.response.finish_reasons": [reason],
        }
        return used | ({"gen_ai.output.messages": self.live.text.whole()} if traces.WITH_CONTENT else {})

    def _is_worth_a_retry(self, error: Exception) -> bool:
        if not isinstance(error, OllamaError) or self.live.has_begun:
            return False
        self._failures += 1
        return error.retryable and not (isinstance(error, ModelFailed) and self._failures > 1)

    async def _stream_once(self, *, loaded: bool) -> tuple[Stats, str]:
        began = time.monotonic()
        deadlines = Deadlines() if loaded else Deadlines(first_token=COLD_FIRST_TOKEN)
        try:
            async with aclosing(self._ask(deadlines)) as chunks:
                async for chunk in chunks:
                    if chunk.stats is not None:
                        await self._record("ok")
                        return chunk.stats, chunk.done_reason
                    if not self.live.has_begun and loaded and time.monotonic() - began > SLOW_SECONDS:
                        await self._record("slow")
                    self._take(chunk)
        except OllamaError as error:
            await self._blame(error)
            raise
        raise AssertionError("a chat stream ends with its figures or raises")

    def _ask(self, deadlines: Deadlines) -> AsyncGenerator[Chunk, None]:
        run = self.run
        return self._hosts.client(self.host).chat(
            model=run.model,
            messages=run.messages,
            deadlines=deadlines,
            format=in_order(run.format),
            options=self._options(),
            think=run.think,
            top_logprobs=run.top_logprobs,
        )

    def _options(self) -> dict[str, Any]:
        """The demonstration model seldom finds an end by itself."""
        return {"num_predict": DEMONSTRATION_TOKENS, **self.run.options} if self.host.is_embedded else self.run.options

    def _take(self, chunk: Chunk) -> None:
        content, thinking = chunk.content, chunk.thinking
        if NUL in content or NUL in thinking:
            content, thinking = content.replace(NUL, ""), thinking.replace(NUL, "")
        if chunk.logprobs:
            self.live.logprobs += chunk.logprobs
        if content or thinking:
            self._publisher.add(self.live, content=content, thinking=thinking)

    async def _blame(self, error: OllamaError) -> None:
        self._hosts.forget(self.host, self.run.model)
        if error.fault == "caller":
            await self._record("ok")
        else:
            await self._record("failed", fault=error.fault, reason=self._words(error))

    async def _record(self, outcome: Outcome, *, fault: str = "host", reason: str = "") -> None:
        model = self.run.model if fault == "model" else ""
        await self._breakers.record(outcome, host=self.host.pk, model=model, reason=reason)

    def _started(self, *, loading: bool) -> RunStarted:
        run = self.run
        return {
            "type": "run.started",
            "run": str(run.pk),
            "attempt": run.attempt,
            "model": run.model,
            "host": self.host.name,
            "loading": loading,
        }


def _host_of(run: Run) -> Host:
    assert run.host is not None  # noqa: S101  (a claim sets it; for the type checker)
    return run.host


def _figures(stats: Stats, reason: str) -> dict[str, Any]:
    return {
        "done_reason": reason[:12],
        "prompt_tokens": stats.prompt_tokens,
        "output_tokens": stats.output_tokens,
        "tokens_per_second": round(stats.tokens_per_second, 1),
        "load_seconds": round(stats.load_duration, 3),
    }


def _detail(error: OllamaError) -> dict[str, Any]:
    if isinstance(error, ContextFull):
        return {"n_prompt_tokens": error.n_prompt_tokens, "n_ctx": error.n_ctx}
    return {}
