"""Whatever goes wrong is shown with a reference: the id of its answer, and of all its lines in the logs."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from lobby.accounts import keys
from tests.factories import PASSWORD, make_user
from tests.lobby.signing_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


def break_down(_: HttpRequest) -> HttpResponse:
    raise RuntimeError("on purpose")


def refuse(_: HttpRequest) -> HttpResponse:
    raise PermissionDenied


class BrokenPages:
    """The addresses of the lobby, and two that go wrong."""

    from lobby.urls import urlpatterns as known

    urlpatterns = [path("broken/", break_down), path("refused/", refuse), *known]


def shown(answer: Any) -> str:
    """The one reference on the page."""
    (reference,) = set(re.findall(r"<code>([0-9a-zA-Z_-]{8,36})</code>", answer.content.decode()))
    return str(reference)


@override_settings(ROOT_URLCONF=BrokenPages)
@pytest.mark.parametrize(
    "method, address, status",
    [
        ("GET", "/nothing/", 404),
        ("GET", "/refused/", 403),
        ("GET", "/broken/", 500),
        ("GET", "/?q=%00", 400),
        ("GET", "/sign-out/", 405),
        ("POST", "/debates/", 405),
        ("GET", "/password/new/no-key/", 410),
        ("GET", "/email/confirm/no-key/", 410),
    ],
)
def test_page_that_says_what_went_wrong_shows_the_reference(
    client: Client, alice: User, method: str, address: str, status: int
) -> None:
    client.raise_request_exception = False

    answer = client.generic(method, address)

    assert (answer.status_code, shown(answer)) == (status, answer["X-Request-ID"])


def test_used_links_and_closed_doors_show_it() -> None:
    for address, status in {"/welcome/no-token/": 410, "/sign-up/": 404}.items():
        answer = Client().get(address)
        assert (answer.status_code, shown(answer)) == (status, answer["X-Request-ID"])


def test_form_that_did_not_come_from_our_page_is_refused_in_our_words_with_a_reference() -> None:
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/sign-in/", {"username": "alice", "password": PASSWORD})

    assert answer.status_code == 403
    assert "Go back, reload the page and try again." in answer.content.decode()
    assert "<style" not in answer.content.decode()
    assert shown(answer) == answer["X-Request-ID"]


def test_too_many_attempts_show_it_and_a_wrong_password_only_says_so() -> None:
    make_user()
    answers = [sign_in(Client(), password="wrong") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert "Reference" not in answers[0].content.decode()
    assert shown(answers[5]) == answers[5]["X-Request-ID"]


def test_error_that_is_shown_on_the_page_that_comes_next_has_the_reference_of_what_failed(
    client: Client, alice: User
) -> None:
    row, _ = keys.make(alice, name="script", scopes=["read"])
    keys.revoke(row)

    answer = client.post(f"/account/keys/{row.pk}/rotate/")
    page = client.get(answer["Location"]).content.decode()

    assert f"Make a new one. Reference {answer['X-Request-ID']}" in page


@pytest.mark.parametrize(
    "method, address, status",
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/runs/6f1b2c3d-0000-4000-8000-000000000000", 404),
        ("PUT", "/api/runs", 405),
        ("GET", "/api/runs?size=0", 422),
        ("POST", "/api/conversations", 400),
        ("GET", "/api/audit", 404),
    ],
)
def test_problem_document_carries_it(client: Client, alice: User, method: str, address: str, status: int) -> None:
    answer = client.generic(method, address, b"{", content_type="application/json")

    assert answer.status_code == status
    assert answer.json()["request_id"] == answer["X-Request-ID"]


def test_problem_documents_for_strangers_and_wrong_keys_carry_it(alice: User) -> None:
    _, key = keys.make(alice, name="script", scopes=["read"])
    bearer = {"wrong": "Bearer lob_wrong", "too little": f"Bearer {key}"}
    answers = [
        Client().get("/api/runs"),
        Client().get("/api/runs", headers={"authorization": bearer["wrong"]}),
        Client().get("/api/audit", headers={"authorization": bearer["too little"]}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 403]
    assert all(answer.json()["request_id"] == answer["X-Request-ID"] for answer in answers)


def test_every_answer_carries_it(client: Client, alice: User) -> None:
    for address in ("/", "/debates/", "/health/live", "/api/runs", "/api/nothing"):
        assert re.fullmatch(r"[0-9a-f]{32}", client.get(address)["X-Request-ID"])
