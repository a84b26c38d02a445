"""What holds for the whole REST API: who comes in, and how it says that something did not work."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from ninja.errors import HttpError

from agents.errors import Refused
from lobby.api import api, forbidden, http_error, refused
from lobby.live import tally
from lobby.live.connections import sync_redis
from lobby.middleware import refuse_nul, speak_problems
from lobby.problems import problem
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_agent, make_conversation, make_host, make_user

pytestmark = pytest.mark.django_db

RUN = "/api/runs/6f1b2c3d-0000-4000-8000-000000000000"


@pytest.fixture
def alice(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


def told(answer: Any) -> tuple[int, str]:
    """The status and the kind, of an answer that is a whole problem document."""
    assert answer["Content-Type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == answer.status_code
    assert all(said[name] for name in ("type", "title", "detail", "kind"))
    return answer.status_code, said["kind"]


def start(client: Client, body: Any) -> Any:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post("/api/conversations", raw, content_type="application/json")


def test_anonymous_is_told_to_sign_in(client: Client) -> None:
    assert told(client.get("/api/runs")) == (401, "unauthorized")


def test_deactivated_user_is_out_at_once(client: Client, alice: User) -> None:
    alice.is_active = False
    alice.save()

    assert told(client.get("/api/runs")) == (401, "unauthorized")


def test_session_without_csrf_token_is_refused_and_with_it_not(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.get("/sign-in/")
    token = {"X-CSRFToken": browser.cookies["csrftoken"].value}
    browser.post("/sign-in/", {"username": "alice", "password": PASSWORD}, headers=token)
    token = {"X-CSRFToken": browser.cookies["csrftoken"].value}

    assert told(browser.post(f"{RUN}/cancel")) == (403, "csrf")
    assert told(browser.post(f"{RUN}/cancel", headers=token)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/agents/", RUN, "/api/runs/not-a-uuid-at-all/x"])
def test_unknown_address_is_a_problem_document(client: Client, alice: User, path: str) -> None:
    assert told(client.get(path)) == (404, "not_found")


def test_wrong_method_is_a_problem_document_that_says_which_are_right(client: Client, alice: User) -> None:
    answer = client.put("/api/conversations")

    assert told(answer) == (405, "method_not_allowed")
    assert sorted(answer["Allow"].split(", ")) == ["GET", "POST"]


def test_body_that_does_not_fit_is_refused_in_words(client: Client, alice: User) -> None:
    answer = start(client, {"agent": 7})

    assert told(answer) == (422, "invalid")
    assert answer.json()["detail"] == "agent: Input should be a valid string."
    assert answer.json()["errors"] == [{"field": "agent", "message": "Input should be a valid string"}]


def test_path_and_query_that_do_not_fit_are_refused_by_their_names(client: Client, alice: User) -> None:
    assert client.get("/api/runs/seven").json()["errors"][0]["field"] == "id"
    assert client.get("/api/runs?size=0").json()["errors"][0]["field"] == "size"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"agent": "\\ud800"}',  # a lone surrogate
        b'{"agent": "\xed\xa0\x80"}',  # the same as bytes
        b"[" * 100_000,
        b'{"agent": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"agent": NaN}',
        b"'",
    ],
)
def test_body_that_is_no_json_is_refused(client: Client, alice: User, body: bytes) -> None:
    assert told(start(client, body)) == (400, "bad_json")


@pytest.mark.parametrize(
    "body",
    [b'{"agent": "a\\u0000b"}', b'{"agent": "x", "\\u0000": 1}', b'{"agent": [[{"deep": "\\u0000"}]]}'],
)
def test_nul_anywhere_in_the_body_is_refused(client: Client, alice: User, body: bytes) -> None:
    assert told(start(client, body)) == (422, "nul_in_text")


def test_backslash_u0000_as_plain_text_is_no_nul(client: Client, alice: User) -> None:
    """Whoever writes about NUL may: what is refused here is an unknown agent."""
    assert told(start(client, b'{"agent": "\\\\u0000"}'))[1] != "nul_in_text"


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"7", b"{}", b"true"])
def test_json_that_is_no_object_of_ours_is_refused(client: Client, alice: User, body: bytes) -> None:
    assert told(start(client, body)) == (422, "invalid")


def test_nul_in_the_address_is_refused_everywhere(client: Client, alice: User) -> None:
    assert told(client.get("/api/agents/a%00b")) == (400, "bad_request")
    assert told(client.get("/api/conversations?q=%00")) == (400, "bad_request")
    assert client.get("/?next=%00").status_code == 400


def test_body_above_the_limit_is_refused_with_the_limit(client: Client, alice: User) -> None:
    answer = start(client, b'"' + b"x" * configured.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"')

    assert told(answer) == (413, "too_large")
    assert "4 MiB" in answer.json()["detail"]


def test_body_is_refused_in_words_when_there_is_none(client: Client, alice: User) -> None:
    assert told(start(client, b"")) == (422, "invalid")


def test_refusal_of_the_domain_says_kind_and_when_to_try_again(client: Client, alice: User, settings: Any) -> None:
    settings.QUEUED_PER_USER = 1
    make_host()
    conversations = [make_conversation(owner=alice, agent=make_agent()) for _ in range(2)]

    first, second = (
        client.post(f"/api/conversations/{row.pk}/messages", {"text": "Why?"}, content_type="application/json")
        for row in conversations
    )

    assert first.status_code == 201
    assert told(second) == (429, "too_many_runs")
    assert (second["Retry-After"], second.json()["retry_after"]) == ("5", 5)
    event = AuditEvent.objects.get(action="limit.reached")
    assert (event.actor, event.detail["kind"]) == (alice, "runs_queued")
    counts: list[Any] = [sync_redis().hget(key, "limits_hit") for key in tally.keys_of_last(1)]
    assert sum(int(count or 0) for count in counts) == 1


def test_refusal_without_a_time_names_none() -> None:
    answer = refused(HttpRequest(), Refused("Not now."))

    assert (answer.status_code, "Retry-After" in answer) == (409, False)
    assert orjson.loads(answer.content) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Not now.",
        "kind": "refused",
    }


def test_permission_denied_says_why_if_it_is_known() -> None:
    for error, words in (
        (PermissionDenied("Only admins."), "Only admins."),
        (PermissionDenied(), "You may not do this."),
    ):
        assert orjson.loads(forbidden(HttpRequest(), error).content)["detail"] == words


def test_any_other_http_error_keeps_its_status_and_words() -> None:
    answer = http_error(HttpRequest(), HttpError(418, "I am a teapot."))

    assert (answer.status_code, orjson.loads(answer.content)["detail"]) == (418, "I am a teapot.")


def test_crash_is_a_problem_document_without_a_trace() -> None:
    broken = speak_problems(lambda request: HttpResponse("Traceback, settings, secrets", status=500))

    answer = broken(RequestFactory().get("/api/agents"))

    assert answer.status_code == 500
    assert b"Traceback" not in answer.content
    assert orjson.loads(answer.content)["kind"] == "internal_server_error"


def test_errors_of_pages_stay_pages() -> None:
    page = speak_problems(lambda request: HttpResponse("<h1>No</h1>", status=404))

    assert page(RequestFactory().get("/chat/")).content == b"<h1>No</h1>"


def test_address_without_nul_passes() -> None:
    passed = refuse_nul(lambda request: HttpResponse("in"))

    assert passed(RequestFactory().get("/%2500?q=%2500")).content == b"in"


def test_problem_takes_its_kind_from_the_status() -> None:
    assert orjson.loads(problem(404, "Gone.").content)["kind"] == "not_found"


def test_docs_are_for_those_signed_in(client: Client) -> None:
    assert client.get("/api/docs")["Location"] == "/sign-in/?next=/api/docs"
    assert client.get("/api/openapi.json")["Location"] == "/sign-in/?next=/api/openapi.json"


def test_docs_load_nothing_from_elsewhere_and_need_no_inline_script(client: Client, alice: User) -> None:
    page = client.get("/api/docs").content.decode()

    loaded = re.findall(r"<(?:script|link|img)[^>]*?(?:src|href)=\"([^\"]+)\"", page)
    assert len(loaded) >= 3
    assert [url for url in loaded if not url.startswith("/static/")] == []
    assert [
        tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag and "application/json" not in tag
    ] == []
    for url in loaded:
        assert Path(str(finders.find(url.removeprefix("/static/")))).is_file()


def test_every_operation_documents_its_errors_and_needs_a_session_or_a_key() -> None:
    schema = api.get_openapi_schema(path_prefix="/api/")

    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert len(operations) >= 19
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert operation["security"] in ([{"Key": []}, {"Session": []}], [{"Session": []}])
