"""The client of one Ollama host."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import ollama
import pydantic
from httpx_aiohttp import AiohttpTransport

from agents.ollama.chat import Chunk, stream_chat
from agents.ollama.deadlines import Deadlines
from agents.ollama.errors import (
    BadReply,
    HostUnreachable,
    ModelFailed,
    ModelMissing,
    OllamaError,
    Stalled,
    StreamCut,
    error_for_status,
    unwrap,
)
from agents.ollama.models import Loaded, Model, list_models, model_names
from agents.ollama.wire import TRANSPORT_ERRORS, get_json, unreachable
from lobby import correlation

ANSWER: Final = 10.0
"""Seconds for questions that need no model in memory."""
LOAD: Final = 300.0
"""Seconds for what may have to load a model first."""
PULL_SILENCE: Final = 120.0
SHOWN_AT_ONCE: Final = 4
# What the official client lets through where an answer is not what it expects.
NOT_THE_PROTOCOL: Final = (pydantic.ValidationError, ValueError, TypeError, AttributeError)
ERROR_LINE: Final = -1
"""The official client's status for an error line in a stream that began well."""


class Client:
    """Everything we ask a host for. Methods raise `OllamaError` and nothing else; bound to one event loop.

    The official client has no call for the version and drops `capabilities` from its list (0.6.3), so
    these two and `chat` go over our own `httpx.AsyncClient`; both share one transport.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float = 3.0,
        transport: httpx.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        url = _address(base_url)
        bare = str(url.copy_with(userinfo=b""))  # aiohttp refuses a name and password in both URL and header
        shared: dict[str, Any] = {
            "transport": transport or _transport(url),
            "headers": {**(headers or {}), "Accept-Encoding": "identity"},
            "auth": (url.username, url.password) if url.userinfo else None,
            # Chats have their own deadlines, which may change while they wait; the rest is timed by `_answers`.
            "timeout": httpx.Timeout(None, connect=connect_timeout, pool=2 * connect_timeout),
            # Prompts go to the address that an admin typed and nowhere else.
            "trust_env": False,
            "follow_redirects": False,
        }
        self._http = httpx.AsyncClient(base_url=bare, event_hooks={"request": [_say_who_asked]}, **shared)
        self._official = ollama.AsyncClient(bare, **shared)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()
        await self._official.close()  # type: ignore[no-untyped-call]

    async def version(self) -> str:
        async with self._answers(within=ANSWER):
            return str((await get_json(self._http, "/api/version")).get("version", ""))

    async def models(self) -> list[Model]:
        """The models on disk; where the list does not tell what they can do, each is asked about."""
        async with self._answers(within=ANSWER):
            models = await list_models(self._http)
        turns = asyncio.Semaphore(SHOWN_AT_ONCE)

        async def complete(model: Model) -> Model:
            if model.capabilities and model.context_length:
                return model
            async with turns:
                return model.with_shown(await self.show(model.name))

        return list(await asyncio.gather(*map(complete, models)))

    async def loaded(self) -> list[Loaded]:
        async with self._answers(within=ANSWER):
            models = (await self._official.ps()).models
        return [Loaded(m.name or m.model or "", m.context_length, m.expires_at) for m in models]

    async def show(self, model: str) -> ollama.ShowResponse:
        async with self._answers(within=ANSWER, model=model):
            return await self._official.show(model)

    async def embed(
        self, texts: Sequence[str], *, model: str, dimensions: int | None = None, within: float = LOAD
    ) -> list[Sequence[float]]:
        """A vector per text. `BadRequest` where the model gives none (it lacks the capability `embedding`)."""
        async with self._answers(within=within, model=model):
            answer = await self._official.embed(model, list(texts), truncate=False, dimensions=dimensions)
        return list(answer.embeddings)

    async def load(
        self,
        model: str,
        *,
        options: Mapping[str, Any] | None = None,
        keep_alive: float | str | None = None,
        within: float = LOAD,
    ) -> None:
        """Returns when the model is in memory. Another `num_ctx` than the chats' makes them load it again."""
        async with self._answers(within=within, model=model):
            await self._official.chat(model, [], options=options, keep_alive=keep_alive)

    async def unload(self, model: str) -> None:
        async with self._answers(within=ANSWER, model=model):
            await self._official.chat(model, [], keep_alive=0)

    async def pull(self, model: str) -> AsyncGenerator[ollama.ProgressResponse, None]:
        """Downloads a model to the host; `completed` of `total` bytes of each part as it goes."""
        async with self._answers(within=ANSWER, model=model):
            progress = await self._official.pull(model, stream=True)
        assert isinstance(progress, AsyncGenerator)  # noqa: S101 - typed as an iterator, which can't be closed
        async with aclosing(progress):
            step = None
            while True:
                async with self._answers(within=PULL_SILENCE, model=model, begun=step is not None):
                    step = await anext(progress, None)
                if step is None:
                    return
                yield step

    def chat(  # noqa: PLR0913 - the fields of Ollama's own request
        self,
        *,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        deadlines: Deadlines,
        format: str | Mapping[str, Any] | None = None,  # noqa: A002 - the protocol's word
        options: Mapping[str, Any] | None = None,
        think: bool | str | None = None,
        keep_alive: float | str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        top_logprobs: int = 0,
    ) -> AsyncGenerator[Chunk, None]:
        """Streams a reply. To stop it, close it (`contextlib.aclosing`) or cancel the task that reads it.

        `deadlines` may be changed while it waits: a longer one counts at once.
        """
        request: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
        request |= {"truncate": False, "shift": False}
        asked = {
            "format": format,
            "options": options,
            "think": think,
            "keep_alive": keep_alive,
            "tools": tools,
        }
        request |= {name: value for name, value in asked.items() if value is not None}
        if top_logprobs:
            request |= {"logprobs": True, "top_logprobs": top_logprobs}
        return stream_chat(self._http, request, deadlines=deadlines)

    @asynccontextmanager
    async def _answers(self, *, within: float, model: str = "", begun: bool = False) -> AsyncIterator[None]:
        """A deadline, in seconds, and our own errors for a call that is not the chat stream."""
        try:
            async with asyncio.timeout(within):
                yield
        except TimeoutError:
            raise Stalled("answer", seconds=within) from None
        except ollama.ResponseError as error:
            raise await self._typed(error, model=model) from None
        except TRANSPORT_ERRORS as error:
            if begun:
                raise StreamCut("The connection to the host broke in the middle of its work.") from error
            raise unreachable(self._http.base_url, error) from error
        except NOT_THE_PROTOCOL as error:
            raise BadReply("The host's answer is not Ollama's protocol.") from error

    async def _typed(self, error: ollama.ResponseError, *, model: str) -> OllamaError:
        if error.status_code == ERROR_LINE:
            return ModelFailed(unwrap(error.error)[0])
        typed = error_for_status(error.status_code, error.error)
        if isinstance(typed, ModelMissing):
            return ModelMissing(model, available=await model_names(self._http))
        return typed


async def _say_who_asked(request: httpx.Request) -> None:
    """So that a log in front of the host can be joined with ours."""
    if known := correlation.request_id():
        request.headers[correlation.HEADER] = known


def _address(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
        good = url.scheme in ("http", "https") and url.host and urlsplit(base_url).port != 0
    except (httpx.InvalidURL, ValueError):  # the latter: a port out of range
        good = False
    if not good:
        raise HostUnreachable("The address of the host is none: it should look like http://127.0.0.1:11434.")
    return url


def _transport(url: httpx.URL) -> AiohttpTransport:
    # 0: without limit in aiohttp, where None would mean 100. The bulkhead is the run queue's.
    limits = httpx.Limits(max_connections=0, keepalive_expiry=5.0)
    # Certificates take 20 ms to read and a plain address needs none.
    return AiohttpTransport(limits=limits, verify=url.scheme == "https", trust_env=False)
