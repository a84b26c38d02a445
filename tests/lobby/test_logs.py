"""What is secret stays out of the logs, also where something fails."""

import logging
import re
import sys
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from django.conf import settings as configured
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from agents.models import Run
from lobby.accounts import links
from lobby.celery import forget_request_id, send_request_id, take_request_id
from lobby.correlation import follow, request_id
from lobby.logs import hide_secrets, name_request
from tests.factories import PASSWORD, make_agent, make_conversation, make_host, make_user

pytestmark = pytest.mark.django_db

SECRET = "sesame-4711-open"


@pytest.fixture(autouse=True)
def all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As with LOG_LEVEL=DEBUG."""
    for name in ("", "django", "django.request", "lobby", "agents"):
        caplog.set_level(logging.DEBUG, logger=name)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All lines, each with everything that was bound to it."""
    return "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)


def test_passwords_are_not_logged_when_signing_in_works_fails_or_is_throttled(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    make_user()
    for number in range(7):
        client.post("/sign-in/", {"username": "alice", "password": f"{SECRET}{number}"})
    Client().post("/sign-in/", {"username": "alice", "password": PASSWORD}, REMOTE_ADDR="192.0.2.9")

    assert "/sign-in/" in logged(caplog)
    assert SECRET not in logged(caplog)
    assert PASSWORD not in logged(caplog)


def test_session_keys_and_tokens_are_not_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.force_login(make_user())
    client.get("/password/")
    client.get("/nothing-here/", headers={"Authorization": f"Bearer {SECRET}"})
    client.get("/metrics", headers={"Authorization": f"Bearer {SECRET}"})

    assert "/nothing-here/" in logged(caplog)
    for secret in (SECRET, client.cookies["sessionid"].value, client.cookies["csrftoken"].value, configured.SECRET_KEY):
        assert secret not in logged(caplog)


def test_what_was_asked_and_broken_is_not_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.force_login(make_user())
    for body in (f'{{"text": "{SECRET}', f'{{"agent": ["{SECRET}"]}}', f'{{"agent": "{SECRET}"}}'):
        client.post("/api/conversations", body, content_type="application/json")

    assert "/api/conversations" in logged(caplog)
    assert SECRET not in logged(caplog)


def test_crash_while_signing_in_leaves_no_password(
    client: Client, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.AUTHENTICATION_BACKENDS = ["tests.lobby.test_logs.BrokenBackend"]
    client.raise_request_exception = False

    answer = client.post("/sign-in/", {"username": "alice", "password": SECRET})

    assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "the directory is away" in logged(caplog)
    assert SECRET not in logged(caplog)
    assert SECRET.encode() not in answer.content


class BrokenBackend:
    def authenticate(self, request: Any, username: str | None = None, password: str | None = None) -> None:
        raise OSError("the directory is away")


def test_one_time_link_is_not_logged_while_it_can_be_used(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    path = links.make(links.ensure_first_admin())
    client.head(path)
    assert path not in logged(caplog)
    client.get(path)
    assert Client().get(path).status_code == HTTPStatus.GONE


def test_lines_of_a_request_name_it_and_who_asked(rf: RequestFactory) -> None:
    alice = make_user()
    lines: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        request.user = alice
        vars(request)["_cached_user"] = alice
        lines.extend(format_as_configured(words) for words in ("first", "second"))
        return HttpResponse()

    name_request(view)(rf.get("/"))
    name_request(view)(rf.get("/"))
    lines.append(format_as_configured("outside"))

    ids = [re.findall("request_id=(\\S+)", line) for line in lines]
    assert ids == [ids[0], ids[0], ids[2], ids[2], []]
    assert ids[0] != ids[2]
    assert [re.findall("user_id=(\\S+)", line) for line in lines] == [[str(alice.pk)]] * 4 + [[]]


def test_answer_tells_the_id_of_its_request_and_keeps_the_one_a_proxy_gave(client: Client) -> None:
    made = client.get("/sign-in/")["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert client.get("/sign-in/", headers={"X-Request-ID": "from-the-proxy-1"})["X-Request-ID"] == "from-the-proxy-1"
    assert client.get("/sign-in/", headers={"X-Request-ID": "a b\nc" * 9})["X-Request-ID"] != made


def test_error_shows_the_id_of_its_request(client: Client, settings: Any) -> None:
    client.force_login(make_user())
    given = {"X-Request-ID": "seen-by-alice"}
    assert client.get("/api/nothing", headers=given).json()["request_id"] == "seen-by-alice"
    assert "<code>seen-by-alice</code>" in client.get("/nothing/", headers=given).content.decode()

    settings.AUTHENTICATION_BACKENDS = ["tests.lobby.test_logs.BrokenBackend"]
    client.logout()
    client.raise_request_exception = False
    broken = client.post("/sign-in/", {"username": "alice", "password": SECRET}, headers=given)
    assert (broken.status_code, "<code>seen-by-alice</code>" in broken.content.decode()) == (500, True)


def test_run_and_what_is_rung_for_it_keep_the_id(client: Client) -> None:
    make_host()
    conversation = make_conversation(agent=make_agent())
    client.force_login(conversation.owner)
    client.post(
        f"/api/conversations/{conversation.pk}/messages",
        {"text": "Why?"},
        content_type="application/json",
        headers={"X-Request-ID": "asked-by-alice"},
    )
    assert [run.request_id for run in Run.objects.all()] == ["asked-by-alice"]

    follow("asked-by-alice")
    headers: dict[str, Any] = {}
    send_request_id(headers=headers)
    follow("")
    take_request_id(task=SimpleNamespace(request=SimpleNamespace(**headers)))
    assert request_id() == "asked-by-alice"
    forget_request_id()
    assert request_id() == ""


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ({"password": SECRET}, {"password": "[hidden]"}),
        ({"detail": {"api_key": SECRET, "model": "m"}}, {"detail": {"api_key": "[hidden]", "model": "m"}}),
        ({"event": "asked with Bearer " + SECRET}, {"event": "asked with Bearer [hidden]"}),
        ({"url": f"redis://:{SECRET}@redis:6379/0"}, {"url": "redis://[hidden]@redis:6379/0"}),
        ({"path": f"/welcome/{SECRET}/"}, {"path": "/welcome/[hidden]/"}),
        ({"keys": ["lob_" + "a1B2" * 12]}, {"keys": ["[hidden]"]}),
        ({"prompt_tokens": 7, "password": ""}, {"prompt_tokens": 7, "password": ""}),
    ],
)
def test_what_is_secret_by_its_name_or_its_look_is_hidden(line: dict[str, Any], hidden: dict[str, Any]) -> None:
    assert hide_secrets(None, "info", line) == hidden


def test_traceback_tells_lines_of_code_and_not_what_variables_held() -> None:
    said = "".join(["sesame", "-4711-", "open"])
    try:
        Path(f"/nowhere/{len(said)}").read_text()
    except FileNotFoundError:
        line = format_as_configured("broken", exc_info=sys.exc_info())

    assert "FileNotFoundError" in line
    assert SECRET not in line


def format_as_configured(words: str, exc_info: Any = None) -> str:
    """A line of a library's, as it leaves the process."""
    (formatter,) = (
        handler.formatter
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    )
    return formatter.format(logging.LogRecord("django.request", logging.ERROR, "", 0, words, (), exc_info))
