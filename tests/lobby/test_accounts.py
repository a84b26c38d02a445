import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from lobby.accounts import attempts, links
from lobby.live.connections import sync_redis
from lobby.live.streams import key
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_admin, make_user

pytestmark = pytest.mark.django_db

GENERIC = "This user name and password do not go together."


def sign_in(client: Client, username: str = "alice", password: str = PASSWORD, address: str = "192.0.2.1") -> Any:
    data = {"username": username, "password": password}
    return client.post("/sign-in/", data, REMOTE_ADDR=address)


def guess(times: int, *, address: str = "192.0.2.1", username: str = "alice") -> list[int]:
    """The statuses of so many wrong passwords, each from a fresh browser."""
    return [sign_in(Client(), username, f"wrong {number}", address).status_code for number in range(times)]


def is_signed_in(client: Client) -> bool:
    return client.get("/password/").status_code == HTTPStatus.OK


def told(user: User) -> int:
    """How often the sockets of this user were told to look at their session."""
    length: Any = sync_redis().xlen(key(f"user:{user.pk}"))
    return int(length)


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

    assert change_password(client).status_code == HTTPStatus.FOUND

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


def test_one_time_link_signs_the_first_admin_in_and_asks_for_a_password(client: Client) -> None:
    path = links.make(links.ensure_first_admin())

    answer = client.get(path)

    assert answer["Location"] == "/password/"
    page = client.get("/password/")
    assert b"Skip for now" in page.content
    assert page.context["user"].username == "admin"
    assert page.context["user"].is_superuser
    assert list(page.context["form"].fields) == ["new_password1", "new_password2"]


def test_first_password_can_be_set_after_the_link_and_signs_in(client: Client) -> None:
    client.get(links.make(links.ensure_first_admin()))
    new = "a phrase of the admin"

    assert client.post("/password/", {"new_password1": new, "new_password2": new})["Location"] == "/"
    assert is_signed_in(client)
    assert sign_in(Client(), "admin", new).status_code == HTTPStatus.FOUND


def test_link_of_an_admin_with_password_leads_straight_in(client: Client) -> None:
    assert client.get(links.make(make_admin()))["Location"] == "/"


def test_link_works_once(client: Client) -> None:
    path = links.make(links.ensure_first_admin())
    client.get(path)

    second = Client().get(path)

    assert second.status_code == HTTPStatus.GONE
    assert b"This link is over" in second.content
    assert client.get(path)["Location"] == "/"


def test_looking_at_a_link_does_not_use_it_up(client: Client) -> None:
    path = links.make(links.ensure_first_admin())

    assert client.head(path).status_code == HTTPStatus.NO_CONTENT
    assert client.get(path).status_code == HTTPStatus.FOUND


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_a_link_at_once_one_gets_in() -> None:
    token = links.make(links.ensure_first_admin()).split("/")[2]

    def redeem(_: int) -> bool:
        try:
            return links.redeem(token) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(redeem, range(8))) == 1


def test_link_is_over_after_24_hours(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    path = links.make(links.ensure_first_admin())
    later = time.time() + 24 * 3600 + 1
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)

    assert client.get(path).status_code == HTTPStatus.GONE


@pytest.mark.parametrize("spoil", [lambda path: path[:-3] + "x/", lambda path: "/welcome/nonsense/"])
def test_forged_link_is_refused(client: Client, spoil: Callable[[str], str]) -> None:
    path = links.make(links.ensure_first_admin())

    assert client.get(spoil(path)).status_code == HTTPStatus.GONE


def test_new_password_and_deactivation_end_open_links(client: Client) -> None:
    admin = make_admin()
    before_password = links.make(admin)
    admin.set_password("another long phrase")
    admin.save()
    before_deactivation = links.make(admin)
    User.objects.update(is_active=False)

    assert client.get(before_password).status_code == HTTPStatus.GONE
    assert client.get(before_deactivation).status_code == HTTPStatus.GONE


def test_first_admin_is_made_once() -> None:
    assert links.ensure_first_admin() == links.ensure_first_admin()
    assert User.objects.count() == 1
    assert not User.objects.get().has_usable_password()


def test_user_who_signed_up_as_admin_does_not_become_one() -> None:
    make_user("admin")

    assert links.ensure_first_admin().username == "admin-2"
    assert not User.objects.get(username="admin").is_superuser


def test_command_prints_a_path_that_signs_in(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sign_in_link")
    path = capsys.readouterr().out.strip()

    assert urlsplit(path).path == path
    assert client.get(path).status_code == HTTPStatus.FOUND


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def promote(user: User) -> None:
    user.is_staff = True
    user.save()


def set_password(user: User) -> None:
    user.set_password("another long phrase")
    user.save()


def add_permission(user: User) -> None:
    user.user_permissions.add(Permission.objects.all()[0])


def add_to_group(user: User) -> None:
    user.groups.add(Group.objects.create(name="operators"))


def add_from_group(user: User) -> None:
    Group.objects.create(name="operators").user_set.add(user)


@pytest.mark.parametrize("change", [deactivate, promote, set_password, add_permission, add_to_group, add_from_group])
def test_sockets_are_told_when_rights_change(
    change: Callable[[User], None], django_capture_on_commit_callbacks: Any
) -> None:
    alice, bob = make_user(), make_user("bob")

    with django_capture_on_commit_callbacks(execute=True):
        change(User.objects.get(pk=alice.pk))

    assert (told(alice), told(bob)) == (1, 0)


def test_sockets_are_told_when_a_group_gets_other_permissions(django_capture_on_commit_callbacks: Any) -> None:
    alice, bob = make_user(), make_user("bob")
    group = Group.objects.create(name="operators")
    group.user_set.add(alice)

    with django_capture_on_commit_callbacks(execute=True):
        group.permissions.set(Permission.objects.all()[:2])

    assert (told(alice), told(bob)) == (1, 0)


def clear_groups(user: User, group: Group) -> None:
    user.groups.clear()


def clear_members(user: User, group: Group) -> None:
    group.user_set.clear()


def delete_group(user: User, group: Group) -> None:
    group.delete()


def clear_permissions(user: User, group: Group) -> None:
    group.permissions.clear()


def add_from_permission(user: User, group: Group) -> None:
    Permission.objects.all()[0].group_set.add(group)


@pytest.mark.parametrize("change", [clear_groups, clear_members, delete_group, clear_permissions, add_from_permission])
def test_sockets_are_told_when_a_group_is_changed_from_any_side(
    change: Callable[[User, Group], None], django_capture_on_commit_callbacks: Any
) -> None:
    alice, bob = make_user(), make_user("bob")
    group = Group.objects.create(name="operators")
    group.user_set.add(alice)

    with django_capture_on_commit_callbacks(execute=True):
        change(alice, group)

    assert (told(alice), told(bob)) == (1, 0)


def test_sockets_are_told_on_sign_out_and_deletion(client: Client, django_capture_on_commit_callbacks: Any) -> None:
    alice = make_user()
    sign_in(client)

    with django_capture_on_commit_callbacks(execute=True):
        client.post("/sign-out/")
    assert told(alice) == 1

    key_of_alice = alice.pk
    with django_capture_on_commit_callbacks(execute=True):
        alice.delete()
    assert sync_redis().xlen(key(f"user:{key_of_alice}")) == 2


def test_sockets_are_left_alone_when_nothing_of_rights_changes(
    client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    alice = make_user()

    with django_capture_on_commit_callbacks(execute=True):
        sign_in(client)
        alice.email = "alice@example.org"
        alice.save()

    assert told(alice) == 0


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
