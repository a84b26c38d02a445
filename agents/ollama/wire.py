"""Lines and JSON over httpx, with the transport's errors turned into ours."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import aiohttp
import httpx
import orjson

from agents.ollama.deadlines import Watch
from agents.ollama.errors import BadReply, HostUnreachable, OllamaError, StreamCut, error_for_status

# The transport maps most of aiohttp's errors to httpx's, but not that of an answer that is not HTTP.
TRANSPORT_ERRORS: Final = (httpx.TransportError, aiohttp.ClientError, OSError)
LONGEST_LINE: Final = 16 * 1024 * 1024
LONGEST_ERROR: Final = 64 * 1024
SHOWN: Final = 60


async def post_lines(http: httpx.AsyncClient, path: str, body: bytes, *, watch: Watch) -> AsyncGenerator[bytes, None]:
    """The lines of the answer, without their ends.

    Leaving it closes the connection, which is how a host is told to stop (ollama.md, rule 9).
    """
    response = await _send(http, path, body, watch=watch)
    try:
        pieces = _pieces(response)
        begun: list[bytes] = []
        while piece := await _next_piece(pieces, watch=watch):
            watch.begun()
            end, *rest = piece.split(b"\n")
            begun.append(end)
            if rest:
                yield b"".join(begun)
                begun = [rest.pop()]
                for line in rest:
                    yield line
            elif sum(map(len, begun)) > LONGEST_LINE:
                raise BadReply("The host sent a line without end, which is not Ollama's protocol.")
        last = b"".join(begun)
        # A line that breaks off is a cut stream; anything else without a line end is judged like a line.
        if last.endswith(b"}") or not last.startswith(b"{"):
            yield last
    finally:
        await response.aclose()


def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """As they come: what httpx would do to each in two more generators is for other encodings than we ask for."""
    if response.headers.get("content-encoding", "identity") != "identity":
        return response.aiter_bytes()
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - an async client's always is
    return aiter(response.stream)


def parse(text: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        return parsed
    if text.lstrip().startswith(b"<"):
        raise BadReply("A page of HTML came instead of an answer: is it Ollama at this address?")
    shown = text[:SHOWN].decode(errors="replace")
    raise BadReply(f"The host's answer is not Ollama's protocol; it reads: {shown}")


async def get_json(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    try:
        response = await http.get(path)
    except TRANSPORT_ERRORS as error:
        raise unreachable(http.base_url, error) from error
    if response.status_code != httpx.codes.OK:
        raise error_for_status(response.status_code, response.text)
    return parse(response.content)


def unreachable(url: httpx.URL, error: Exception) -> OllamaError:
    """The words for a connection that failed before an answer came."""
    host = f"{url.scheme}://{url.netloc.decode()}"
    match error.__cause__ or error:
        case aiohttp.ClientConnectorDNSError():
            return HostUnreachable(f"The name in {host} is unknown to the network.")
        case aiohttp.ServerDisconnectedError():
            return HostUnreachable(f"The host at {host} closed the connection without an answer.")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return BadReply(f"What answers at {host} does not speak proper HTTP.")
    return HostUnreachable(f"No Ollama answers at {host}.")


async def _send(http: httpx.AsyncClient, path: str, body: bytes, *, watch: Watch) -> httpx.Response:
    request = http.build_request("POST", path, content=body)
    try:
        with watch:
            response = await http.send(request, stream=True)
            if response.status_code == httpx.codes.OK:
                return response
            words = await _read_error(response)
    except TRANSPORT_ERRORS as error:
        raise unreachable(http.base_url, error) from error
    raise error_for_status(response.status_code, words)


async def _read_error(response: httpx.Response) -> str:
    read = b""
    try:
        async for piece in response.aiter_bytes():
            read += piece
            if len(read) > LONGEST_ERROR:
                break
    finally:
        await response.aclose()
    return read.decode(errors="replace")


async def _next_piece(pieces: AsyncIterator[bytes], *, watch: Watch) -> bytes:
    try:
        with watch:
            return await anext(pieces, b"")
    except TRANSPORT_ERRORS as error:
        raise StreamCut("The connection to the host broke in the middle of the answer.") from error
