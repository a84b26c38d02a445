"""A host that sends us elsewhere is not followed: prompts go to the address that an admin entered."""

from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from agents.ollama import Client, OllamaError
from tests.agents.ollama.asking import MODEL, chat
from tests.fake_ollama import FakeOllama


@pytest.fixture
def signpost(fake: FakeOllama) -> Iterator[str]:
    """A server that answers every request with a redirect to a real host."""

    class Signpost(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(307)
            self.send_header("Location", fake.url + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Signpost)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


ASKED: list[Callable[[Client], Awaitable[Any]]] = [
    lambda client: client.version(),
    lambda client: client.models(),
    lambda client: client.loaded(),
    lambda client: client.show(MODEL),
    lambda client: client.unload(MODEL),
    chat,
]


@pytest.mark.parametrize("ask", ASKED, ids=["version", "models", "loaded", "show", "unload", "chat"])
async def test_redirect_is_an_error_and_nothing_arrives_elsewhere(
    signpost: str, fake: FakeOllama, ask: Callable[[Client], Awaitable[Any]]
) -> None:
    async with Client(signpost) as client:
        with pytest.raises(OllamaError):
            await ask(client)

    assert not fake.stats.requests
