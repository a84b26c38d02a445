from http import HTTPStatus
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from lobby.accounts import attempts, second_factor
from monitoring.models import AuditEvent
from tests.factories import make_user
from tests.lobby.mailbox import Mailbox, mails  # noqa: F401  (a fixture)
from tests.lobby.signing_in import is_signed_in, sign_in
from tests.lobby.test_second_factor import turn_on

pytestmark = pytest.mark.django_db

NEW = "another long phrase"
MAIL = "alice@example.org"


def ask(email: str = MAIL, address: str = "192.0.2.1") -> Any:
    return Client().post("/password/forgotten/", {"email": email}, REMOTE_ADDR=address)


def set_password(path: str, password: str = NEW, client: Client | None = None) -> Any:
    return (client or Client()).post(path, {"new_password1": password, "new_password2": password})


def test_link_in_a_mail_sets_a_new_password_and_ends_every_session(mails: Mailbox) -> None:  # noqa: F811
    alice = make_user(email=MAIL)
    other = Client()
    sign_in(other)

    assert ask()["Location"] == "/email/sent/"
    path = mails.link()
    page = Client().get(path)
    answer = set_password(path)

    assert (page.status_code, answer["Location"]) == (200, "/sign-in/")
    assert not is_signed_in(other)
    assert sign_in(Client(), password=NEW).status_code == HTTPStatus.FOUND
    rows = AuditEvent.objects.filter(action__startswith="account.password", subject_id=alice.pk).order_by("pk")
    assert [row.action for row in rows] == ["account.password_reset_asked", "account.password_reset"]


def test_link_works_once_and_signs_nobody_in(client: Client, mails: Mailbox) -> None:  # noqa: F811
    make_user(email=MAIL)
    ask()
    path = mails.link()
    set_password(path, client=client)

    assert not is_signed_in(client)
    assert set_password(path, "a third long phrase").status_code == HTTPStatus.GONE
    assert Client().get(path).status_code == HTTPStatus.GONE


def test_link_is_over_after_an_hour(mails: Mailbox, settings: Settings) -> None:  # noqa: F811
    make_user(email=MAIL)
    ask()
    path = mails.link()
    settings.PASSWORD_RESET_TIMEOUT = -1

    assert set_password(path).status_code == HTTPStatus.GONE


def test_sign_in_or_another_address_meanwhile_ends_the_link(mails: Mailbox) -> None:  # noqa: F811
    alice = make_user(email=MAIL)
    ask()
    first = mails.link()
    sign_in(Client())
    ask()
    second = mails.link()
    alice.email = "new@example.org"
    alice.save(update_fields=["email"])

    assert [set_password(path).status_code for path in (first, second)] == [410, 410]


@pytest.mark.parametrize("path", ["nonsense", "1-nonsense", "zzzzzzzzzzzzzzzz-a-b", "-", "%F0%9F%98%80-x"])
def test_invented_link_is_refused(path: str) -> None:
    assert set_password(f"/password/new/{path}/").status_code == HTTPStatus.GONE


def test_weak_password_is_refused_and_the_link_still_works(mails: Mailbox) -> None:  # noqa: F811
    make_user(email=MAIL)
    ask()
    path = mails.link()

    assert set_password(path, "alice").status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert set_password(path).status_code == HTTPStatus.FOUND


def test_who_has_an_account_is_not_to_be_found_out(mails: Mailbox) -> None:  # noqa: F811
    make_user(email=MAIL)
    make_user("dave", email="dave@example.org", is_active=False)

    answers = [ask(email) for email in ("nobody@example.org", "dave@example.org")]

    assert mails.is_empty()
    answers.append(ask())
    assert {(answer.status_code, answer["Location"]) for answer in answers} == {(302, "/email/sent/")}


def test_who_comes_by_single_sign_on_alone_gets_no_way_past_it(mails: Mailbox) -> None:  # noqa: F811
    erin = User.objects.create_user("erin", email=MAIL)
    SocialAccount.objects.create(user=erin, provider="sso", uid="42")

    ask()

    assert mails.is_empty()


def test_fourth_mail_in_an_hour_is_refused_whether_or_not_there_is_an_account(mails: Mailbox) -> None:  # noqa: F811
    make_user(email=MAIL)

    statuses = [[ask(email).status_code for _ in range(4)] for email in (MAIL, "nobody@example.org")]

    assert statuses == [[302, 302, 302, 429]] * 2


def test_one_address_that_asks_for_many_accounts_is_refused(mails: Mailbox) -> None:  # noqa: F811
    for number in range(20):
        attempts.count_reset(email=f"user{number}@example.org", address="192.0.2.1")

    assert ask("one.more@example.org").status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert ask("one.more@example.org", address="198.51.100.1").status_code == HTTPStatus.FOUND


def test_second_factor_is_asked_for_after_a_reset(client: Client, mails: Mailbox) -> None:  # noqa: F811
    alice = make_user(email=MAIL)
    turn_on(alice)
    ask()
    set_password(mails.link())

    assert sign_in(client, password=NEW)["Location"] == "/sign-in/code/"
    assert second_factor.is_on(alice)


def test_owner_is_told_of_a_new_password(mails: Mailbox) -> None:  # noqa: F811
    alice = make_user(email=MAIL)
    EmailAddress.objects.create(user=alice, email=MAIL, verified=True, primary=True)
    ask()
    set_password(mails.link())

    told = mails.wait()
    assert (told.subject, told.to) == ("Your account at Agent Lobby was changed", [MAIL])
    assert NEW not in told.body


def test_address_in_the_mail_is_that_of_the_installation(mails: Mailbox, settings: Settings) -> None:  # noqa: F811
    settings.SITE_URL = "https://lobby.example"
    make_user(email=MAIL)
    ask()

    assert "https://lobby.example/password/new/" in mails.wait().body


def test_where_no_mail_is_sent_the_page_says_who_can_help(client: Client) -> None:
    make_user(email=MAIL)

    for answer in (client.get("/password/forgotten/"), client.post("/password/forgotten/", {"email": MAIL})):
        assert answer.status_code == HTTPStatus.OK
        assert b"Ask an admin" in answer.content
        assert b'name="email"' not in answer.content
    assert AuditEvent.objects.count() == 0


@pytest.mark.parametrize("email", ["", "nobody", "a@b\0.c", "x" * 300 + "@example.org"])
def test_what_is_no_address_is_refused_in_words(mails: Mailbox, email: str) -> None:  # noqa: F811
    answer = ask(email)

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert list(answer.context["form"].errors) == ["email"]


def test_mail_server_that_is_away_is_logged_and_the_page_goes_on(
    mails: Mailbox,  # noqa: F811
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    make_user(email=MAIL)

    assert ask().status_code == HTTPStatus.FOUND
    assert mails.is_empty()
    assert "mail.not_sent" in caplog.text
    assert MAIL not in caplog.text
