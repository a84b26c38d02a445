"""Whatever comes over a socket is answered, and the socket stays: frames made up at random, on a real web process."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lobby.embedded.child import Child
from tests.factories import make_user
from tests.lobby.live.sockets import Socket, is_event, sign_in, socket
from tests.processes import web_process

pytestmark = pytest.mark.django_db(transaction=True)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
words = st.sampled_from(["attach", "detach", "cancel", "ping", "after"])
frames = st.one_of(
    st.text(),
    values.map(json.dumps),
    st.dictionaries(words, values, min_size=1).map(json.dumps),
    st.dictionaries(words, st.text(), min_size=1).map(json.dumps),
    st.binary(),
)


@pytest.fixture(scope="module")
def web(django_db_setup: None, django_db_blocker: Any) -> Iterator[Child]:
    with django_db_blocker.unblock(), web_process(env={"LOBBY_FRAMES_PER_SECOND": "1000000"}) as process:
        yield process


@pytest.fixture
def alice(transactional_db: None) -> User:
    return make_user()


@pytest.fixture
def page(web: Child, alice: User) -> Iterator[Socket]:
    with socket(web.url, session=sign_in(alice)) as opened:
        opened.until(is_event("snapshot"))
        yield opened


@given(frame=frames)
@example(frame="[" * 100_000)
@example(frame='{"attach": "chat:\\u0000"}')
@example(frame='{"attach": "chat:' + "9" * 60_000 + '"}')
@example(frame='{"attach": "user:99999999999999999999999999999"}')
@example(frame='{"cancel": "\\u0000"}')
@example(frame='{"attach": "chat:1", "after": "99999999999999999999-99999999999999999999"}')
@example(frame='{"ping": ' + "9" * 5000 + "}")
@example(frame='{"ping": true}')
@settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_frame_breaks_the_socket(page: Socket, frame: str | bytes) -> None:
    page.wire.send(frame)
    page.send(ping=4711)
    answers = page.until(lambda answer: answer.get("pong") == 4711)

    assert all({"error", "pong", "event"} & answer.keys() for answer in answers)
    assert [answer for answer in answers if answer.get("error", {}).get("kind") == "broken"] == []
