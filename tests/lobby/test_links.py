import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.core.management import call_command
from django.db import connection
from django.test import Client

from lobby.accounts import links
from tests.factories import make_admin, make_user
from tests.lobby.signing_in import is_signed_in, sign_in

pytestmark = pytest.mark.django_db


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


class SignedAgo(signing.TimestampSigner):
    """Signs as somebody did who did it `seconds` ago."""

    def __init__(self, seconds: int) -> None:
        super().__init__(salt=links.SALT)
        self.seconds = seconds

    def timestamp(self) -> str:
        return signing.b62_encode(int(time.time()) - self.seconds)


@pytest.mark.parametrize(("minutes_left", "status"), [(5, HTTPStatus.FOUND), (-1, HTTPStatus.GONE)])
def test_link_is_over_after_24_hours(client: Client, minutes_left: int, status: HTTPStatus) -> None:
    token = links.make(links.ensure_first_admin()).split("/")[2]
    said = signing.TimestampSigner(salt=links.SALT).unsign(token)
    old = SignedAgo(24 * 3600 - 60 * minutes_left).sign(said)

    assert client.get(f"/welcome/{old}/").status_code == status


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
