"""Users and groups in the admin: what each may do, as words, and how much each may use."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission, User
from django.contrib.messages import get_messages
from django.test import Client

from lobby.accounts.models import Limit
from lobby.accounts.permissions import CHAT, DEBATE, EVERYBODY, MANAGE_AGENTS, SEE_METRICS
from lobby.admin import RIGHTS, rights
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_admin, make_conversation, make_run, make_user
from tests.lobby.signing_in import is_signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def carol(client: Client) -> Client:
    client.force_login(make_admin())
    return client


def permission(right: str) -> Permission:
    app, _, name = right.partition(".")
    return Permission.objects.get(content_type__app_label=app, codename=name)


def of_user(user: User, *, may: tuple[str, ...] = (), limits: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    return {"username": user.username, "is_active": "on", "user_permissions": pks(may)} | inline(limits)


def pks(may: tuple[str, ...]) -> list[str]:
    return [str(permission(right).pk) for right in may]


def inline(limits: tuple[tuple[str, str], ...]) -> dict[str, str]:
    form = {"limits-TOTAL_FORMS": str(len(limits)), "limits-INITIAL_FORMS": "0"}
    for number, (kind, value) in enumerate(limits):
        form |= {f"limits-{number}-kind": kind, f"limits-{number}-value": value}
    return form


def test_every_right_that_is_named_is_there() -> None:
    assert [f"{row.content_type.app_label}.{row.codename}" for row in rights()] == list(RIGHTS)
    assert list(RIGHTS)[:4] == [CHAT, DEBATE, MANAGE_AGENTS, SEE_METRICS]


def test_rights_are_plain_checkboxes_with_words(carol: Client) -> None:
    page = carol.get(f"/admin/auth/user/{make_user().pk}/change/").content.decode()
    for words in ("Chat with agents", "Start debates", "Manage agents and model hosts", "See the dashboard"):
        assert words in page
    assert "Can add log entry" not in page


def test_user_is_added_by_the_fields_that_the_page_shows(carol: Client) -> None:
    shown = carol.get("/admin/auth/user/add/").context["adminform"].form.fields
    given = {"username": "dave", "email": "dave@example.org", "password1": PASSWORD, "password2": PASSWORD}
    assert set(shown) == {*given, "usable_password"}

    carol.post("/admin/auth/user/add/", given | {"usable_password": "true"})

    dave = User.objects.get(username="dave")
    assert dave.email == "dave@example.org"
    assert dave.check_password(PASSWORD)


def test_page_of_a_user_shows_nothing_of_the_password(carol: Client) -> None:
    alice = make_user()
    page = carol.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()
    assert 'Set. <a class="link" href="../password/">Change it</a>' in page
    assert not any(part in page for part in alice.password.split("$")[2:])

    alice.set_unusable_password()
    alice.save()
    assert "None. <a" in carol.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()


def test_user_is_given_rights_and_keeps_those_that_are_not_shown(carol: Client) -> None:
    alice = make_user()
    hidden = Permission.objects.get(codename="add_logentry")
    alice.user_permissions.set([hidden, permission(DEBATE)])

    carol.post(f"/admin/auth/user/{alice.pk}/change/", of_user(alice, may=(CHAT, SEE_METRICS)))

    given = {row.codename for row in alice.user_permissions.all()}
    assert given == {"add_logentry", "chat", "see_metrics"}


def test_group_is_given_rights_and_the_list_says_so(carol: Client) -> None:
    group = Group.objects.create(name="Writers")
    make_user().groups.add(group)
    form = {"name": "Writers", "permissions": pks((DEBATE,))} | inline((("debates_at_once", "3"),))

    carol.post(f"/admin/auth/group/{group.pk}/change/", form)

    limit = Limit.objects.get()
    assert (limit.scope, limit.group, limit.user, limit.value) == ("group", group, None, 3)
    page = carol.get("/admin/auth/group/").content.decode()
    assert "Start debates" in page


def test_limits_of_a_user_stand_with_the_user(carol: Client) -> None:
    alice = make_user()
    limits = (("runs_per_hour", "5"), ("tokens_per_day", ""))
    carol.post(f"/admin/auth/user/{alice.pk}/change/", of_user(alice, limits=limits))

    rows = Limit.objects.order_by("kind").values_list("kind", "scope", "user", "value")
    assert list(rows) == [("runs_per_hour", "user", alice.pk, 5), ("tokens_per_day", "user", alice.pk, None)]


@pytest.mark.parametrize(
    "limits, words",
    [
        ((("runs_per_hour", "-1"),), "A limit is 0 or more; leave it empty for no limit."),
        ((("runs_per_hour", "many"),), "A limit is a whole number"),
        ((("runs_per_hour", "1"), ("runs_per_hour", "2")), "There can be only one limit of a kind."),
    ],
)
def test_limit_that_is_none_is_refused_with_words(
    carol: Client, limits: tuple[tuple[str, str], ...], words: str
) -> None:
    alice = make_user()
    answer = carol.post(f"/admin/auth/user/{alice.pk}/change/", of_user(alice, limits=limits))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert Limit.objects.count() == 0


def test_page_of_a_user_says_how_much_was_used(carol: Client) -> None:
    alice = make_user()
    make_conversation(owner=alice)
    make_run(owner=alice)
    make_run(owner=alice)
    page = carol.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()
    for words in ("chats: 1", "debates: 0", "runs in 24 hours: 2", "runs in 30 days: 2", "text of chats: 0 MB of "):
        assert words in page


def test_what_everybody_may_is_said_on_the_page_of_groups(carol: Client) -> None:
    group, _ = Group.objects.get_or_create(name=EVERYBODY)
    page = carol.get(f"/admin/auth/group/{group.pk}/change/").content.decode()
    assert "holds for every active user, member or not" in page


def act(client: Client, action: str, *users: User) -> list[str]:
    answer = client.post("/admin/auth/user/", {"action": action, "_selected_action": [user.pk for user in users]})
    return [str(message) for message in get_messages(answer.wsgi_request)]


def recorded(action: str) -> list[str]:
    return list(AuditEvent.objects.filter(action=action).values_list("subject_id", flat=True))


def test_somebody_is_signed_out_everywhere(carol: Client) -> None:
    alice, browser = make_user(), Client()
    browser.force_login(alice)
    browser.get("/account/")

    assert act(carol, "sign_out", alice) == ["alice: signed out in 1 browser."]
    assert not is_signed_in(browser)
    assert recorded("session.all_ended") == [str(alice.pk)]


def test_admin_who_signs_himself_out_everywhere_is_out(carol: Client) -> None:
    carol.get("/account/")
    act(carol, "sign_out", User.objects.get(username="carol"))
    assert not is_signed_in(carol)


def test_lost_second_factor_is_taken_away_once(carol: Client) -> None:
    alice = make_user()
    Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data={})

    told = [act(carol, "reset_second_factor", alice)[-1] for _ in range(2)]

    assert told == [
        "Second factor of alice: taken away; the password alone signs in now.",
        "Second factor of alice: had none.",
    ]
    assert recorded("second_factor.reset") == [str(alice.pk)]
