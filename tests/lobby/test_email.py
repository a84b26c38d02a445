"""E-mail addresses: confirmed before the first sign-in, and when they change."""

from http import HTTPStatus
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from tests.factories import PASSWORD, make_user
from tests.lobby.mailbox import Mailbox, mails  # noqa: F401  (a fixture)
from tests.lobby.signing_in import confirm, is_signed_in, sign_in

pytestmark = pytest.mark.django_db

MAIL = "eve@example.org"


@pytest.fixture(autouse=True)
def opened(settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "open"


def sign_up(client: Client, username: str = "eve", email: str = MAIL) -> Any:
    data = {"username": username, "email": email, "password1": PASSWORD, "password2": PASSWORD}
    return client.post("/sign-up/", data)


def test_who_signs_up_comes_in_once_the_address_is_confirmed(client: Client, mails: Mailbox) -> None:  # noqa: F811
    assert sign_up(client)["Location"] == "/email/sent/"
    assert not is_signed_in(client)
    path = mails.link()

    page = client.get(path)
    assert MAIL.encode() in page.content
    assert not EmailAddress.objects.get().verified  # what merely looks at it confirms nothing
    assert client.post(path)["Location"] == "/sign-in/"

    assert sign_in(client, "eve")["Location"] == "/"
    assert is_signed_in(client)


def test_sign_in_before_sends_the_link_again_three_times_an_hour_at_most(mails: Mailbox) -> None:  # noqa: F811
    sign_up(Client())
    mails.wait()
    for _ in range(2):
        assert sign_in(Client(), "eve")["Location"] == "/email/sent/"
        mails.wait()

    assert sign_in(Client(), "eve")["Location"] == "/email/sent/"
    assert mails.is_empty()


def test_address_is_needed_where_mail_is_sent_and_not_asked_for_elsewhere(
    client: Client,
    mails: Mailbox,  # noqa: F811
    settings: Settings,
) -> None:
    assert sign_up(client, email="").status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    settings.MAIL = None

    assert b'name="email"' not in client.get("/sign-up/").content
    assert sign_up(client)["Location"] == "/"


def test_who_has_the_address_already_learns_it_by_mail_and_nobody_else(client: Client, mails: Mailbox) -> None:  # noqa: F811
    make_user(email=MAIL)

    assert sign_up(client)["Location"] == "/email/sent/"

    assert mails.wait().subject == "You have an account at Agent Lobby already"
    assert User.objects.count() == 1


def test_account_that_an_admin_made_is_not_asked_to_confirm(client: Client, mails: Mailbox) -> None:  # noqa: F811
    make_user(email="alice@example.org")

    assert sign_in(client)["Location"] == "/"


@pytest.mark.parametrize("spoil", [lambda path: path[:-3] + "x/", lambda path: "/email/confirm/nonsense/"])
def test_forged_link_confirms_nothing(mails: Mailbox, spoil: Any) -> None:  # noqa: F811
    sign_up(Client())

    assert Client().post(spoil(mails.link())).status_code == HTTPStatus.GONE
    assert not EmailAddress.objects.get().verified


def test_link_confirms_once(mails: Mailbox) -> None:  # noqa: F811
    sign_up(Client())
    path = mails.link()
    Client().post(path)

    assert Client().post(path).status_code == HTTPStatus.GONE


def change(client: Client, email: str) -> Any:
    return client.post("/account/email/", {"email": email})


def test_new_address_takes_the_old_ones_place_when_it_is_confirmed(client: Client, mails: Mailbox) -> None:  # noqa: F811
    alice = make_user(email="old@example.org")
    EmailAddress.objects.create(user=alice, email="old@example.org", verified=True, primary=True)
    sign_in(client)
    assert client.get("/account/email/")["Location"] == "/account/confirm/?next=/account/email/"
    confirm(client)

    assert change(client, "New@example.org")["Location"] == "/email/sent/"
    path = mails.link()
    told = mails.wait()
    alice.refresh_from_db()
    assert (alice.email, told.to) == ("old@example.org", ["old@example.org"])

    assert client.post(path)["Location"] == "/account/email/"
    alice.refresh_from_db()
    assert alice.email == "new@example.org"
    assert list(EmailAddress.objects.values_list("email", "verified")) == [("new@example.org", True)]


def test_address_of_another_account_is_not_taken_over(client: Client, mails: Mailbox) -> None:  # noqa: F811
    make_user("bob", email="bob@example.org")
    make_user()
    sign_in(client)
    confirm(client)

    assert change(client, "bob@example.org")["Location"] == "/email/sent/"

    assert mails.wait().subject == "You have an account at Agent Lobby already"
    assert EmailAddress.objects.count() == 0


def test_address_is_not_changed_where_no_mail_is_sent(client: Client) -> None:
    make_user()
    sign_in(client)
    confirm(client)

    assert client.get("/account/email/").status_code == HTTPStatus.NOT_FOUND
    assert b"/account/email/" not in client.get("/account/security/").content
