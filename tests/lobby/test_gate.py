"""Sessions that were open when a second factor began to be required."""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from lobby.accounts import gate, keys, second_factor
from lobby.accounts.models import ApiKey
from tests.factories import make_user
from tests.lobby.signing_in import confirm, sign_in
from tests.lobby.test_second_factor import codes_of, recovery_codes_of, secret_of, turn_on

pytestmark = pytest.mark.django_db

SET_UP = "/account/security/second-factor/"


@pytest.fixture
def alice(db: None) -> User:
    return make_user()


@pytest.fixture
def here(client: Client, alice: User, settings: Settings) -> Client:
    """Signed in before it was required of everybody."""
    sign_in(client)
    settings.REQUIRE_MFA = "everybody"
    return client


def is_led_there(client: Client, path: str = "/debates/") -> bool:
    answer = client.get(path)
    return answer.status_code == HTTPStatus.FOUND and answer["Location"] == SET_UP


@pytest.mark.parametrize(
    "path", ["/", "/chat/new/", "/debates/", "/account/", "/account/keys/", "/account/sessions/", "/admin/", "/audit/"]
)
def test_every_page_leads_to_setting_one_up(here: Client, path: str) -> None:
    assert is_led_there(here, path)


@pytest.mark.parametrize("path", ["/account/data/", "/account/delete/", "/account/keys/"])
def test_nothing_is_done_by_posting_either(here: Client, path: str) -> None:
    answer = here.post(path, {"name": "script", "scopes": ["read"], "days": "30"})

    assert answer["Location"] == SET_UP
    assert ApiKey.objects.count() == 0


def test_it_is_set_up_on_the_way_and_then_everything_goes_on(here: Client, alice: User) -> None:
    page = here.get("/debates/", follow=True)
    assert b"You must have a second factor here now." in page.content
    assert [address for address, _ in page.redirect_chain] == [SET_UP, f"/account/confirm/?next={SET_UP}"]

    assert confirm(here, next=SET_UP)["Location"] == SET_UP
    page = here.get(SET_UP)
    assert b"Leave it off" not in page.content
    shown = here.post(SET_UP, {"code": codes_of(secret_of(page))[1]})

    assert len(recovery_codes_of(shown)) == 10
    assert second_factor.is_on(alice)
    assert here.get("/debates/").status_code == HTTPStatus.OK
    assert here.get("/api/runs").status_code == HTTPStatus.OK


def test_who_would_rather_not_can_sign_out(here: Client) -> None:
    assert here.post("/sign-out/")["Location"] == "/sign-in/"
    assert here.get("/sign-in/").status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "method, path",
    [("GET", "/api/runs"), ("POST", "/api/conversations"), ("POST", "/api/me/keys"), ("GET", "/api/docs")],
)
def test_api_refuses_the_session_in_words(here: Client, method: str, path: str) -> None:
    answer = here.generic(method, path, b"{}", content_type="application/json")

    said = answer.json()
    assert (answer.status_code, said["kind"], said["detail"]) == (403, "second_factor_required", gate.WORDS)


def test_part_of_a_page_is_refused_and_not_exchanged_for_another_page(here: Client) -> None:
    answer = here.get("/chat/sidebar/", headers={"Sec-Fetch-Mode": "cors"})

    assert (answer.status_code, answer.json()["kind"]) == (403, "second_factor_required")


def test_keys_go_on(here: Client, alice: User) -> None:
    _, key = keys.make(alice, name="script", scopes=["read"])

    for client in (Client(), here):  # with a cookie, too, which is not looked at
        answer = client.get("/api/runs", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == HTTPStatus.OK


def test_bearer_opens_no_page(here: Client, alice: User) -> None:
    _, key = keys.make(alice, name="script", scopes=["read"])

    answer = here.get("/debates/", headers={"authorization": f"Bearer {key}"})

    assert answer["Location"] == SET_UP


def test_who_has_one_is_asked_for_nothing_and_looked_up_once(
    here: Client, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    turn_on(alice)
    assert here.get("/email/sent/").status_code == HTTPStatus.OK

    with django_assert_num_queries(2):  # the session and its user, as where nothing is required
        here.get("/email/sent/")


@pytest.mark.parametrize("is_staff", [True, False])
def test_required_of_staff_it_is_asked_of_staff_alone(
    client: Client, alice: User, settings: Settings, is_staff: bool
) -> None:
    sign_in(client)
    settings.REQUIRE_MFA = "staff"
    assert not is_led_there(client)

    User.objects.filter(pk=alice.pk).update(is_staff=is_staff)

    assert is_led_there(client) == is_staff


def test_who_loses_it_is_led_there_again(here: Client, alice: User) -> None:
    turn_on(alice)
    assert not is_led_there(here)

    second_factor.reset(alice)

    assert is_led_there(here)


def test_one_that_is_taken_away_by_another_process_is_missed_when_it_is_looked_up_again(
    here: Client, alice: User
) -> None:
    turn_on(alice)
    assert not is_led_there(here)
    second_factor._have[alice.pk] += second_factor.LOOK_AGAIN  # however slow this machine is
    Authenticator.objects.all().delete()
    assert not is_led_there(here)

    second_factor._have[alice.pk] -= 2 * second_factor.LOOK_AGAIN

    assert is_led_there(here)


def test_strangers_come_to_the_pages_for_them(settings: Settings) -> None:
    settings.REQUIRE_MFA = "everybody"

    assert Client().get("/sign-in/").status_code == HTTPStatus.OK
    assert Client().get("/debates/")["Location"] == "/sign-in/?next=/debates/"
    assert Client().get("/api/runs").status_code == HTTPStatus.UNAUTHORIZED
    assert Client().get("/health/live").status_code == HTTPStatus.OK


class Inside:
    """What stands behind the door: it notes who came."""

    user: Any = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.user = scope["user"]


@pytest.fixture
def inside() -> Iterator[Inside]:
    yield Inside()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "required, has_one, comes_in", [("no", False, True), ("everybody", True, True), ("everybody", False, False)]
)
def test_sockets_and_event_streams_take_for_nobody_who_lacks_one(
    inside: Inside, settings: Settings, required: str, has_one: bool, comes_in: bool
) -> None:
    alice = make_user()
    settings.REQUIRE_MFA = required
    if has_one:
        turn_on(alice)

    async def come(user: User | AnonymousUser) -> None:
        await gate.admit(inside)({"user": user}, None, None)

    for user in (alice, AnonymousUser()):
        asyncio.run(come(user))
        assert inside.user.is_authenticated == (comes_in and user is alice)
