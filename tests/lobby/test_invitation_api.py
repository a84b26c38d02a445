"""Letting people in by the REST API: made once, listed, taken back, by who may and in no other way."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from lobby.accounts import invitations, keys
from lobby.accounts.models import Invitation
from monitoring.models import AuditEvent
from tests.factories import make_admin, make_user
from tests.jsonapi import Api
from tests.lobby.mailbox import Mailbox, mails  # noqa: F401  (a fixture)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def invited(settings: Settings) -> None:
    settings.LOBBY_SIGNUP = "invited"


@pytest.fixture
def carol(db: None) -> Api:
    return Api(make_admin())


@pytest.fixture
def dave(db: None) -> User:
    """Staff that may invite, and is no superuser."""
    user = make_user("dave", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="add_invitation"))
    return user


def opens(link: str) -> bool:
    return Client().get(link.removeprefix("http://testserver")).status_code == 200


def test_link_is_told_once_and_opens_the_door(carol: Api) -> None:
    Group.objects.create(name="readers")
    status, made = carol.post("invitations", email="eve@example.org", days=3, groups=["readers"])

    assert status == 201
    assert opens(made["link"])
    assert (made["email"], made["groups"], made["is_open"], made["is_mailed"]) == (
        "eve@example.org",
        ["readers"],
        True,
        False,
    )
    left = datetime.fromisoformat(made["expires_at"]) - timezone.now()
    assert timedelta(days=2) < left <= timedelta(days=3)
    token = made["link"].rstrip("/").rpartition("/")[2]
    kept = str(list(Invitation.objects.values()) + list(AuditEvent.objects.values()))
    assert token not in kept + str(carol.get("invitations"))


def test_what_is_made_and_taken_back_is_recorded_with_its_invitation(carol: Api) -> None:
    _, made = carol.post("invitations", email="eve@example.org")
    carol.delete(f"invitations/{made['id']}")

    recorded = AuditEvent.objects.filter(action__startswith="invitation.").order_by("id")
    assert [(row.action, row.actor_name, row.subject_id) for row in recorded] == [
        ("invitation.made", "carol", made["id"]),
        ("invitation.revoked", "carol", made["id"]),
    ]


def test_invitation_goes_by_mail(carol: Api, mails: Mailbox) -> None:  # noqa: F811
    _, made = carol.post("invitations", email="eve@example.org", is_mailed=True)

    mail = mails.wait()
    assert (made["is_mailed"], mail.to) == (True, ["eve@example.org"])
    assert made["link"] in str(mail.body)


def test_fourth_mail_within_the_hour_is_not_sent_and_that_is_said(carol: Api, mails: Mailbox) -> None:  # noqa: F811
    said = [carol.post("invitations", email="eve@example.org", is_mailed=True)[1] for _ in range(4)]

    assert [made["is_mailed"] for made in said] == [True, True, True, False]
    assert opens(said[3]["link"])


@pytest.mark.parametrize(
    "asked, field",
    [
        ({"days": 0}, "days"),
        ({"days": 91}, "days"),
        ({"days": "soon"}, "days"),
        ({"email": "nobody"}, "email"),
        ({"email": "a" * 250 + "@example.org"}, "email"),
        ({"groups": ["unknown"]}, "groups"),
        ({"groups": "readers"}, "groups"),
        ({"is_mailed": True, "email": "eve@example.org"}, "is_mailed"),  # nothing is mailed from here
    ],
)
def test_nonsense_is_refused_at_its_field(carol: Api, asked: dict[str, Any], field: str) -> None:
    status, said = carol.post("invitations", **asked)

    assert (status, said["kind"], {error["field"] for error in said["errors"]}) == (422, "invalid", {field})
    assert Invitation.objects.count() == 0


def test_mail_to_nobody_is_refused(carol: Api, mails: Mailbox) -> None:  # noqa: F811
    status, said = carol.post("invitations", is_mailed=True)

    assert (status, said["errors"]) == (422, [{"field": "email", "message": "Say where to send it"}])
    assert Invitation.objects.count() == 0


def test_newest_is_listed_first_and_those_that_open_apart(carol: Api) -> None:
    of_day: list[str] = [carol.post("invitations")[1]["id"] for _ in range(3)]
    for age, pk in enumerate(reversed(of_day)):
        Invitation.objects.filter(pk=pk).update(created_at=timezone.now() - timedelta(days=age))
    Invitation.objects.filter(pk=of_day[0]).update(expires_at=timezone.now() - timedelta(seconds=1))
    Invitation.objects.filter(pk=of_day[1]).update(used_at=timezone.now(), used_by=make_user("eve"))

    _, listed = carol.get("invitations")

    assert [item["id"] for item in listed["items"]] == of_day[::-1]
    assert [item["is_open"] for item in listed["items"]] == [True, False, False]
    assert [item["used_by"] for item in listed["items"]] == [None, "eve", None]
    assert listed["sign_up"] == "invited"
    for is_open, ids in {"true": of_day[2:], "false": of_day[1::-1]}.items():
        assert [item["id"] for item in carol.get("invitations", is_open=is_open)[1]["items"]] == ids


def test_list_asks_the_database_as_often_for_one_as_for_many(
    carol: Api, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    group = Group.objects.create(name="readers")
    inviter = User.objects.get()
    invitations.invite(inviter, groups=[group])
    with django_assert_max_num_queries(6) as asked:
        carol.get("invitations")
    for _ in range(3):
        invitations.invite(inviter, groups=[group])

    with django_assert_num_queries(len(asked)):
        assert len(carol.get("invitations")[1]["items"]) == 4


def test_one_that_is_taken_back_opens_nothing_and_is_not_taken_back_again(carol: Api) -> None:
    _, made = carol.post("invitations")

    assert carol.delete(f"invitations/{made['id']}") == (204, None)
    assert not opens(made["link"])
    status, said = carol.delete(f"invitations/{made['id']}")
    assert (status, said["detail"]) == (409, "This invitation was used, or it is over.")
    assert carol.delete(f"invitations/{uuid4()}")[0] == 404


def test_staff_invites_into_its_own_groups_and_sees_its_own_invitations_alone(carol: Api, dave: User) -> None:
    own, other = (Group.objects.create(name=name) for name in ("own", "other"))
    dave.groups.add(own)
    _, of_carol = carol.post("invitations", groups=[other.name])

    assert Api(dave).post("invitations", groups=[other.name])[0] == 422
    status, made = Api(dave).post("invitations", groups=[own.name])
    assert (status, made["groups"], made["invited_by"]) == (201, ["own"], "dave")
    assert [item["id"] for item in Api(dave).get("invitations")[1]["items"]] == [made["id"]]
    assert Api(dave).delete(f"invitations/{of_carol['id']}")[0] == 404
    assert opens(of_carol["link"])
    assert len(carol.get("invitations")[1]["items"]) == 2


@pytest.mark.parametrize("fields", [{}, {"is_staff": True}])
def test_for_who_may_not_invite_there_is_nothing_here(fields: dict[str, Any]) -> None:
    row, _ = invitations.invite(make_admin())
    bob = Api(make_user("bob", **fields))

    assert [bob.get("invitations")[0], bob.post("invitations")[0], bob.delete(f"invitations/{row.pk}")[0]] == [404] * 3
    assert invitations.usable().count() == 1


@pytest.mark.parametrize("method, rest", [("GET", ""), ("POST", ""), ("DELETE", "/{}")])
def test_admins_key_lets_nobody_in_whatever_its_scopes(method: str, rest: str) -> None:
    carol = make_admin()
    row, _ = invitations.invite(carol)
    _, key = keys.make(carol, name="script", scopes=list(keys.SCOPES))

    answer = Client().generic(
        method,
        f"/api/invitations{rest.format(row.pk)}",
        b"{}",
        headers={"authorization": f"Bearer {key}"},
        content_type="application/json",
    )

    assert answer.status_code == 403
    assert invitations.usable().count() == Invitation.objects.count() == 1
