import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from lobby.accounts import invitations
from lobby.accounts.models import Invitation
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_admin, make_user
from tests.lobby.mailbox import Mailbox, mails  # noqa: F401  (a fixture)
from tests.lobby.signing_in import is_signed_in

pytestmark = pytest.mark.django_db

PAGE = "/account/invitations/"


@pytest.fixture(autouse=True)
def invited(settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "invited"


def sign_up(client: Client, path: str, username: str = "eve", **more: str) -> Any:
    return client.post(path, {"username": username, "password1": PASSWORD, "password2": PASSWORD, **more})


def test_who_is_invited_makes_an_account_and_joins_the_groups(client: Client) -> None:
    readers = Group.objects.create(name="readers")
    _, path = invitations.invite(make_admin(), groups=[readers])

    assert client.get(path).status_code == HTTPStatus.OK
    assert sign_up(client, path)["Location"] == "/"

    eve = User.objects.get(username="eve")
    assert is_signed_in(client)
    assert list(eve.groups.all()) == [readers]
    assert Invitation.objects.get().used_by == eve


def test_nobody_signs_up_without_an_invitation(client: Client) -> None:
    answer = client.get("/sign-up/")

    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert b"You need an invitation here" in answer.content
    assert sign_up(client, "/sign-up/").status_code == HTTPStatus.NOT_FOUND
    assert b"/sign-up/" not in client.get("/sign-in/").content


def test_closed_lobby_takes_nobody_invited_or_not_and_says_so(client: Client, settings: Settings) -> None:
    _, path = invitations.invite(make_admin())
    settings.LOBBY_SIGNUP = "closed"

    answer = sign_up(client, path)

    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert b"Accounts are made by an admin here" in answer.content
    assert not User.objects.filter(username="eve").exists()


def test_invitation_puts_into_its_groups_where_anybody_may_sign_up_too(client: Client, settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "open"
    _, path = invitations.invite(make_admin(), groups=[Group.objects.create(name="readers")])
    sign_up(client, path)

    assert [group.name for group in User.objects.get(username="eve").groups.all()] == ["readers"]


@pytest.mark.parametrize("change", [{"used_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}])
def test_used_and_old_invitations_are_over(client: Client, change: dict[str, Any]) -> None:
    _, path = invitations.invite(make_admin())
    Invitation.objects.update(**change)

    for answer in (client.get(path), sign_up(client, path)):
        assert answer.status_code == HTTPStatus.GONE
        assert b"This invitation was used, or it is over" in answer.content
    assert not User.objects.filter(username="eve").exists()


def test_invented_invitation_is_over(client: Client) -> None:
    assert client.get("/sign-up/nonsense/").status_code == HTTPStatus.GONE


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_an_invitation_at_once_one_gets_an_account(settings: Settings) -> None:
    _, path = invitations.invite(make_admin())

    def come(number: int) -> int:
        try:
            return int(sign_up(Client(), path, f"eve{number}").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        statuses = sorted(threads.map(come, range(6)))

    assert statuses == [302] + [410] * 5
    assert User.objects.filter(username__startswith="eve").count() == 1


def test_invitation_for_an_address_is_for_no_other(client: Client) -> None:
    _, path = invitations.invite(make_admin(), email="Eve@example.org")

    answer = sign_up(client, path, email="mallory@example.org")

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert b"The invitation is for another address" in answer.content
    assert sign_up(client, path, email="eve@EXAMPLE.org").status_code == HTTPStatus.FOUND


def test_refused_form_does_not_use_the_invitation_up(client: Client) -> None:
    _, path = invitations.invite(make_admin())

    assert sign_up(client, path, "carol").status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert sign_up(client, path).status_code == HTTPStatus.FOUND


def test_token_is_not_kept_anywhere(client: Client) -> None:
    client.force_login(make_admin())
    page = client.post(PAGE, {"days": "7"})
    token = re.findall(r"/sign-up/([\w-]+)/", page.content.decode())[0]

    assert token not in str(list(Invitation.objects.values()) + list(AuditEvent.objects.values()))
    assert token not in client.get(PAGE).content.decode()
    assert Client().get(f"/sign-up/{token}/").status_code == HTTPStatus.OK


def test_admin_sends_one_by_mail(client: Client, mails: Mailbox) -> None:  # noqa: F811
    client.force_login(make_admin())

    page = client.post(PAGE, {"days": "7", "email": "eve@example.org", "is_mailed": "on"})

    mail = mails.wait()
    path = re.findall(r"/sign-up/[\w-]+/", str(mail.body))[0]
    assert (mail.to, mail.subject) == (["eve@example.org"], "You are invited to Agent Lobby")
    assert b"on its way to eve@example.org" in page.content
    assert Client().get(path).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "sent, field",
    [({"days": "0"}, "days"), ({"days": "-1"}, "days"), ({"days": "7", "email": "nobody"}, "email"), ({}, "days")],
)
def test_nonsense_is_refused_at_its_field(client: Client, sent: dict[str, str], field: str) -> None:
    client.force_login(make_admin())

    answer = client.post(PAGE, sent or {"email": "eve@example.org"})

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert list(answer.context["form"].errors) == [field]
    assert Invitation.objects.count() == 0


def test_staff_invites_with_the_permission_alone_and_into_its_own_groups(client: Client) -> None:
    dave = make_user("dave", is_staff=True)
    own, other = (Group.objects.create(name=name) for name in ("own", "other"))
    dave.groups.add(own)
    client.force_login(dave)
    assert client.get(PAGE).status_code == HTTPStatus.NOT_FOUND

    dave.user_permissions.add(Permission.objects.get(codename="add_invitation"))
    assert client.post(PAGE, {"days": "7", "groups": [other.pk]}).status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert client.post(PAGE, {"days": "7", "groups": [own.pk]}).status_code == HTTPStatus.OK
    assert list(Invitation.objects.get().groups.all()) == [own]


def test_staff_sees_and_revokes_its_own_alone(client: Client) -> None:
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.add(Permission.objects.get(codename="add_invitation"))
    invitations.invite(make_admin(), email="of.carol@example.org")
    of_carol = Invitation.objects.get()
    client.force_login(dave)

    assert b"of.carol@example.org" not in client.get(PAGE).content
    assert client.post(f"{PAGE}{of_carol.pk}/revoke/").status_code == HTTPStatus.NOT_FOUND


def test_revoked_invitation_is_over(client: Client) -> None:
    client.force_login(make_admin())
    _, path = invitations.invite(User.objects.get())

    client.post(f"{PAGE}{Invitation.objects.get().pk}/revoke/")

    assert Client().get(path).status_code == HTTPStatus.GONE
    assert AuditEvent.objects.filter(action="invitation.revoked").count() == 1
