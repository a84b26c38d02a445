import re
from http import HTTPStatus
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from lobby.accounts import attempts, links
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_admin, make_user
from tests.lobby.signing_in import is_signed_in, sign_in, told

pytestmark = pytest.mark.django_db

GENERIC = "This user name and password do not go together."


def guess(times: int, *, address: str = "192.0.2.1", username: str = "alice") -> list[int]:
    """The statuses of so many wrong passwords, each from a fresh browser."""
    return [sign_in(Client(), username, f"wrong {number}", address).status_code for number in range(times)]


def test_right_password_signs_in_under_a_new_session_key(client: Client) -> None:
    make_user()
    client.get("/sign-in/")
    before = client.session.session_key

    answer = sign_in(client)

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_signed_in(client)
    assert client.session.session_key != before


def test_next_is_followed_only_within_the_site(client: Client) -> None:
    make_user()
    data = {"username": "alice", "password": PASSWORD}

    inside = client.post("/sign-in/", data | {"next": "/password/"})
    outside = Client().post("/sign-in/", data | {"next": "https://elsewhere.example/"})

    assert inside["Location"] == "/password/"
    assert outside["Location"] == "/"


@pytest.mark.parametrize("username", ["alice", "nobody", "dave"])
def test_wrong_password_unknown_and_inactive_account_are_told_alike(client: Client, username: str) -> None:
    make_user()
    make_user("dave", is_active=False)

    answer = sign_in(client, username, "wrong password")

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.context["form"].non_field_errors() == [GENERIC]
    assert not is_signed_in(client)


def test_inactive_account_with_its_right_password_is_told_the_same(client: Client) -> None:
    make_user("dave", is_active=False)

    assert sign_in(client, "dave").context["form"].non_field_errors() == [GENERIC]


@pytest.mark.parametrize("username", ["a\0b", "", "x" * 200_000, "\ufffe", "' OR 1=1 --"])
def test_strange_user_name_is_refused_in_words(client: Client, username: str) -> None:
    answer = sign_in(client, username)

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.context["form"].errors


def test_sixth_guess_from_one_address_is_refused_and_says_when_to_try_again(client: Client) -> None:
    make_user()

    assert guess(5) == [422] * 5
    answer = sign_in(client)

    assert answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert 0 < int(answer["Retry-After"]) <= 300
    assert re.search(r"Too many attempts. Try again in (\d minutes|\d+ seconds)\.", answer.content.decode())
    assert not is_signed_in(client)


def test_unknown_account_is_throttled_like_a_real_one() -> None:
    make_user()

    assert guess(6, username="nobody") == guess(6, username="alice") == [422] * 5 + [429]


def test_guessing_does_not_lock_the_owner_out_elsewhere(client: Client) -> None:
    make_user()
    guess(8, address="198.51.100.7")

    assert sign_in(client, address="192.0.2.1").status_code == HTTPStatus.FOUND


def test_spelling_of_the_name_gives_no_further_guesses() -> None:
    make_user()

    assert guess(5) == [422] * 5
    assert guess(1, username=" ALICE ") == [429]


def test_addresses_of_one_ipv6_network_count_together() -> None:
    make_user()

    assert [guess(1, address=f"2001:db8::{number}")[0] for number in range(1, 7)] == [422] * 5 + [429]
    assert guess(1, address="2001:db8:0:1::1") == [422]


@pytest.mark.parametrize("address", ["", "unix:"])
def test_guesses_over_a_unix_socket_count_together(address: str) -> None:
    make_user()

    assert guess(6, address=address) == [422] * 5 + [429]


def test_one_address_that_tries_many_accounts_is_refused() -> None:
    for number in range(60):
        attempts.count_sign_in(account=f"user {number}", address="192.0.2.1", is_known_device=False)

    assert guess(1) == [429]


def test_guessing_from_many_addresses_is_slowed_down_but_a_known_browser_comes_in(client: Client) -> None:
    make_user()
    sign_in(client)
    client.post("/sign-out/")
    for number in range(99):
        attempts.count_sign_in(account="alice", address=f"203.0.113.{number}", is_known_device=False)

    assert sign_in(Client(), address="192.0.2.77").status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert sign_in(client, address="192.0.2.77").status_code == HTTPStatus.FOUND


def test_browser_known_to_one_account_is_not_known_to_another(client: Client) -> None:
    make_user()
    make_user("bob")
    sign_in(client)
    client.post("/sign-out/")
    for number in range(100):
        attempts.count_sign_in(account="bob", address=f"203.0.113.{number}", is_known_device=False)

    assert sign_in(client, "bob", address="192.0.2.77").status_code == HTTPStatus.TOO_MANY_REQUESTS


def test_right_password_forgets_earlier_slips(client: Client) -> None:
    make_user()
    guess(4)

    assert sign_in(client).status_code == HTTPStatus.FOUND
    assert guess(5) == [422] * 5


def test_sign_out_needs_post_and_ends_the_session_and_its_sockets(client: Client) -> None:
    alice = make_user()
    sign_in(client)

    assert client.get("/sign-out/").status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert is_signed_in(client)
    with_sockets = told(alice)
    client.post("/sign-out/")

    assert not is_signed_in(client)
    assert with_sockets == 0


def test_forms_without_csrf_token_are_refused() -> None:
    make_user()
    client = Client(enforce_csrf_checks=True)

    for path in ("/sign-in/", "/sign-out/", "/password/", "/sign-up/"):
        assert client.post(path, {"username": "alice", "password": PASSWORD}).status_code == HTTPStatus.FORBIDDEN


def change_password(client: Client, *, old: str = PASSWORD, new: str = "another long phrase") -> Any:
    return client.post("/password/", {"old_password": old, "new_password1": new, "new_password2": new})


def test_password_change_signs_out_other_browsers_and_keeps_this_one(client: Client) -> None:
    make_user()
    other = Client()
    sign_in(client)
    sign_in(other)

    changed = change_password(client)

    assert changed.status_code == HTTPStatus.FOUND
    assert (
        "Your password is changed. Other browsers are signed out." in client.get(changed["Location"]).content.decode()
    )
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert sign_in(Client(), password="another long phrase").status_code == HTTPStatus.FOUND


def test_password_change_needs_the_old_one_and_counts_guesses_at_it(client: Client) -> None:
    make_user()
    sign_in(client)

    statuses = [change_password(client, old=f"wrong {number}").status_code for number in range(6)]

    assert statuses == [422] * 5 + [429]


@pytest.mark.parametrize("weak", ["short", "1234567890123", "password123", "alice-alice"])
def test_weak_password_is_refused(client: Client, weak: str) -> None:
    make_user(username="alice-alice")
    sign_in(client, "alice-alice")

    answer = change_password(client, new=weak)

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert list(answer.context["form"].errors) == ["new_password2"]


def test_password_page_asks_who_is_not_signed_in_to_sign_in(client: Client) -> None:
    assert client.get("/password/")["Location"] == "/sign-in/?next=/password/"


def test_sign_up_is_not_there_unless_open(client: Client) -> None:
    assert client.get("/sign-up/").status_code == HTTPStatus.NOT_FOUND
    assert client.post("/sign-up/", {"username": "eve"}).status_code == HTTPStatus.NOT_FOUND
    assert b"/sign-up/" not in client.get("/sign-in/").content


def sign_up(client: Client, username: str = "eve") -> Any:
    data = {"username": username, "password1": PASSWORD, "password2": PASSWORD}
    return client.post("/sign-up/", data)


def test_open_sign_up_makes_an_ordinary_user_and_signs_him_in(client: Client, settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "open"

    assert b"/sign-up/" in client.get("/sign-in/").content
    assert sign_up(client).status_code == HTTPStatus.FOUND

    eve = User.objects.get(username="eve")
    assert (eve.is_staff, eve.is_superuser, eve.is_active) == (False, False, True)
    assert is_signed_in(client)


def test_sign_up_under_a_name_that_differs_only_in_case_is_refused(client: Client, settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "open"
    make_user()

    answer = sign_up(client, "Alice")

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert User.objects.count() == 1


def test_eleventh_sign_up_in_an_hour_from_one_address_is_refused(settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "open"

    assert [sign_up(Client(), f"eve{number}").status_code for number in range(11)] == [302] * 10 + [429]
    assert User.objects.count() == 10


def test_who_is_signed_in_needs_no_second_account(client: Client, settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "open"
    client.force_login(make_user())

    assert client.get("/sign-up/")["Location"] == "/"


def test_admins_password_and_sign_out_are_those_of_everybody(client: Client) -> None:
    client.force_login(make_admin())

    assert client.get("/admin/password_change/")["Location"] == "/password/"
    assert client.post("/admin/logout/")["Location"] == "/sign-in/"
    assert not is_signed_in(client)


def test_sign_ins_refusals_and_sign_outs_are_in_the_audit_trail(client: Client) -> None:
    alice = make_user()
    sign_in(client, password="wrong")
    sign_in(client, username="a secret typed here", password="wrong")
    sign_in(client)
    client.post("/sign-out/")

    rows = AuditEvent.objects.order_by("pk").values_list("action", "actor_name", "subject_id", "address")
    assert list(rows) == [
        ("session.refused", "", str(alice.pk), "192.0.2.1"),
        ("session.refused", "", "", "192.0.2.1"),
        ("session.signed_in", "alice", "", "192.0.2.1"),
        ("session.signed_out", "alice", "", "127.0.0.1"),
    ]


def test_passwords_and_tokens_are_not_kept_anywhere_in_the_audit_trail(client: Client) -> None:
    make_user()
    sign_in(client, password="hunter2-hunter2")
    path = links.make(links.ensure_first_admin())
    client.get(path)

    kept = str(list(AuditEvent.objects.values()))
    assert "hunter2" not in kept
    assert path.split("/")[2] not in kept
