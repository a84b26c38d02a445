from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from lobby.live.connections import sync_redis
from lobby.live.streams import key
from tests.factories import make_user
from tests.lobby.signing_in import sign_in, told

pytestmark = pytest.mark.django_db


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
