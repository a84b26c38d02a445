"""The same application under each of the two servers it is meant for."""

import sys
from collections.abc import Iterator

import httpx
import pytest

from lobby.embedded.child import Child
from tests.factories import make_conversation, make_user
from tests.lobby.live.sockets import is_event, sign_in, socket
from tests.ports import reserved
from tests.processes import answers, browser, running, web_process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["uvicorn", "daphne"])
def server(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Child]:
    if request.param == "uvicorn":
        with web_process() as process:
            yield process
        return
    with reserved() as port:
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "lobby.asgi:application"]
        with running("daphne", command, ready=lambda _: answers(url), url=url) as process:
            yield process


def test_pages_sockets_and_event_streams_are_served(server: Child) -> None:
    alice = make_user()
    session, topic = sign_in(alice), make_conversation(owner=alice).topic
    page = browser.get(f"{server.url}/sign-in/")
    assert (page.status_code, "Sign in" in page.text) == (200, True)
    with socket(server.url, session=session) as wire:
        wire.send(attach=topic)
        wire.until(lambda frame: frame.get("topic") == topic and is_event("snapshot")(frame))
    url = f"{server.url}/api/topics/{topic}/events"
    with httpx.stream("GET", url, cookies={"sessionid": session}, timeout=60) as events:
        assert next(events.iter_lines()).startswith("id: ")
