"""Exchanges recorded from a real Ollama, played back as they were."""

import asyncio
from pathlib import Path
from typing import Any

import orjson

from tests.fake_ollama.connection import Connection, Request

RECORDINGS = Path(__file__).parent.parent / "data" / "ollama"

Recording = dict[str, Any]


def load_recording(name: str) -> Recording:
    recording: Recording = orjson.loads((RECORDINGS / f"{name}.json").read_bytes())
    return recording


def recording_names() -> list[str]:
    return sorted(path.stem for path in RECORDINGS.glob("*.json"))


def request_body(recording: Recording) -> Any:
    """The recorded body, with its `{"repeat": …, "times": …}` written out."""
    return _written_out(recording["request"].get("body"))


async def play(recording: Recording, connection: Connection, request: Request, *, timed: bool) -> None:
    """The recorded status, headers and chunks, and the recorded end; at the recorded pace if `timed`."""
    answer = recording["response"]
    began = asyncio.get_running_loop().time()
    headers, chunked = answer["headers"], answer["headers"].get("Transfer-Encoding") == "chunked"
    if answer["chunks"] and not chunked:
        # Names in some bodies were replaced after they were recorded, so their length is no longer what it was.
        length = sum(len(text.encode()) for _, text in answer["chunks"])
        headers = headers | {"Content-Length": str(length)}
    if timed:
        await _until(began, answer["headers_at_ms"])
    connection.head(answer["status"], headers)
    for at, text in answer["chunks"]:
        if timed:
            await _until(began, at)
        (connection.chunk if chunked else connection.write)(text.encode())
        await connection.drain()
    match answer["ended"]:
        case "cut":
            connection.cut()
        case "client closed":
            await connection.left.wait()
        case "complete" if chunked:
            connection.end_chunks()
        case "complete" if not answer["chunks"] and headers["Content-Length"] != "0" and request.method != "HEAD":
            connection.close()  # the answer to a HEAD, played to another request


async def _until(began: float, milliseconds: float) -> None:
    await asyncio.sleep(began + milliseconds / 1000 - asyncio.get_running_loop().time())


def _written_out(value: Any) -> Any:
    match value:
        case {"repeat": str(text), "times": int(times)}:
            return text * times
        case dict():
            return {key: _written_out(inner) for key, inner in value.items()}
        case list():
            return [_written_out(inner) for inner in value]
    return value
