"""One loaded model: the runner process and what is asked of it over llama.cpp's own HTTP."""

import asyncio
import json
import os
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

RUNNER = Path(__file__).with_name("runner.py")
NOT_JSON = "Z"
CONNECT = 10  # seconds; an answer may take as long as it takes, a dead runner breaks the connection


class Refused(Exception):
    """llama.cpp would not take the request; the text is its JSON answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class RunnerDied(Exception):
    """The process that held the model is gone."""


@dataclass(frozen=True)
class Launch:
    weights: str
    key: str
    parallel: int
    context: int
    threads: int


class Llama:
    """A running model with `parallel` slots of `context` tokens each."""

    def __init__(self, process: Process, *, launch: Launch, client: httpx.AsyncClient) -> None:
        self.process = process
        self.context = launch.context
        self.slots = asyncio.Semaphore(launch.parallel)
        self._client = client
        self._headers = {"Authorization": f"Bearer {launch.key}"}
        self._url = ""
        self._followed: set[str] = set()

    @classmethod
    async def start(cls, weights: Path, *, context: int, parallel: int, client: httpx.AsyncClient) -> "Llama":
        """Load the model. Raises RunnerDied."""
        launch = Launch(str(weights), secrets.token_urlsafe(), parallel, context, threads())
        # -P: the runner's own folder must not offer modules
        process = await asyncio.create_subprocess_exec(sys.executable, "-P", RUNNER, stdin=PIPE, stdout=PIPE)
        llama = cls(process, launch=launch, client=client)
        try:
            await llama._load(launch)
        except BaseException:  # whatever ends the start, the runner must not outlive it
            await llama.stop()
            raise
        return llama

    async def _load(self, launch: Launch) -> None:
        assert self.process.stdin and self.process.stdout  # noqa: S101 - both are pipes, see start
        self.process.stdin.write(json.dumps(asdict(launch)).encode() + b"\n")
        address = await self.process.stdout.readline()
        if not address:
            raise RunnerDied("the model could not be loaded")
        self._url = address.decode().strip()

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    @property
    def memory(self) -> int:
        """Resident bytes."""
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    async def stop(self) -> None:
        if self.is_alive:
            self.process.kill()
        await self.process.wait()

    async def tokens(self, text: str) -> list[int]:
        """Raises RunnerDied."""
        request = {"content": text, "add_special": True}
        try:
            answer = await self._client.post(f"{self._url}/tokenize", json=request, headers=self._headers)
        except httpx.TransportError as error:
            raise RunnerDied(str(error)) from error
        return list(orjson.loads(answer.content)["tokens"])

    async def follows(self, request: dict[str, Any]) -> bool:
        """Whether this completion is bound by its schema. Raises Refused, RunnerDied.

        llama.cpp as built here says nothing about a schema it does not understand and lets the model say anything. So
        each new one is tried: one token, which is urged to be what no JSON begins with. The prompt that is read for it
        need not be read again.
        """
        schema = json.dumps(request["json_schema"])
        if schema in self._followed:
            return True
        trial = {**request, "n_predict": 1, "temperature": 0, "logit_bias": [[NOT_JSON, 100]]}
        async with aclosing(self.complete(trial)) as events:
            said = "".join([event["content"] async for event in events])
        if said == NOT_JSON:
            return False
        self._followed.add(schema)
        return True

    async def complete(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """The events of one completion as llama.cpp sends them. Closing it frees the slot. Raises Refused, RunnerDied.

        With progress on, an answer begins with the first batch of the prompt: whoever leaves while a long prompt is
        read is noticed between two batches.
        """
        body = {**request, "stream": True, "return_progress": True}
        url = f"{self._url}/completion"
        try:
            async with self._client.stream("POST", url, json=body, headers=self._headers) as answer:
                if answer.is_error:
                    raise Refused(answer.status_code, (await answer.aread()).decode())
                async for line in lines(answer):
                    yield event(line)
        except httpx.TransportError as error:
            raise RunnerDied(str(error)) from error


def threads() -> int:
    """Half the processors, four at most: where others work too, a thread that is waited for costs more than it gives
    (two processors under load: 150 tokens/s with one thread, 30 with two)."""
    return min(max((os.cpu_count() or 1) // 2, 1), 4)


def connect() -> httpx.AsyncClient:
    """A client for runners: a connection for each request, because an idle one would hold a thread of llama.cpp."""
    return httpx.AsyncClient(
        trust_env=False,
        timeout=httpx.Timeout(None, connect=CONNECT),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )


async def lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The non-empty lines of a body. (httpx's own also splits at U+2028 and the like, which JSON strings may hold.)"""
    rest = b""
    async for piece in answer.aiter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line:
                yield line


def event(line: bytes) -> dict[str, Any]:
    name, _, value = line.partition(b": ")
    found: dict[str, Any] = orjson.loads(value)
    if name == b"error" or "error" in found:
        raise Refused(500, value.decode())
    return found
