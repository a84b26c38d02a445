"""Sockets end with the right to them: on sign-out, deactivation, a new password or other permissions.

Django's own signals are the only place where all of these pass, whoever causes them: a page, the admin, a command.
Telling is quick but may fail with Redis; every socket looks at its session again each minute as well.
"""

from collections.abc import Iterable
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.signals import m2m_changed, post_delete, post_init, post_save, pre_delete
from django.http import HttpRequest
from redis.exceptions import RedisError

from lobby import audit
from lobby.accounts import browsers
from lobby.accounts.models import UserSession
from lobby.live import streams

log = structlog.get_logger()

RIGHTS = ("is_active", "is_staff", "is_superuser", "password")


def connect() -> None:
    user = get_user_model()
    post_init.connect(_remember_rights, sender=user)
    post_save.connect(_end_if_rights_changed, sender=user)
    post_delete.connect(_end_of_deleted, sender=user)
    m2m_changed.connect(_end_if_permissions_changed, sender=user.groups.through)
    m2m_changed.connect(_end_if_permissions_changed, sender=user.user_permissions.through)
    m2m_changed.connect(_end_of_members, sender=Group.permissions.through)
    pre_delete.connect(_end_of_deleted_group, sender=Group)
    user_logged_in.connect(_record_sign_in)
    user_logged_out.connect(_end_on_sign_out)
    user_login_failed.connect(_record_failure)


def end(users: Iterable[Any]) -> None:
    """Close the sockets of these users, once what changed is committed; a page with a valid session comes back."""
    keys = [getattr(user, "pk", user) for user in users]
    transaction.on_commit(lambda: _tell(keys))


def end_one(request: HttpRequest, *, pk: Any) -> bool:
    """Sign somebody out in another browser. False if he is not (any more) signed in there."""
    with transaction.atomic():
        if not browsers.sign_out(_others(request).filter(pk=pk)):
            return False
        audit.record("session.ended", request=request)
        end([request.user])
    return True


def end_others(request: HttpRequest) -> int:
    """Sign somebody out everywhere but here; in how many browsers that was."""
    with transaction.atomic():
        ended = browsers.sign_out(_others(request))
        audit.record("session.others_ended", request=request, count=ended)
        end([request.user])
    return ended


def _others(request: HttpRequest) -> QuerySet[UserSession]:
    return browsers.of(request.user).exclude(key=request.session.session_key)


def end_everywhere(user: Any) -> int:
    """Sign him out in all browsers; how many those were."""
    ended = browsers.sign_out(browsers.of(user))
    end([user])
    return ended


def _tell(keys: list[int]) -> None:
    try:
        for key in keys:
            streams.publish(f"user:{key}", {"type": "session.ended"})
    except RedisError as error:
        log.warning("session.end_not_told", users=keys, error=str(error))


def _rights(user: User) -> dict[str, Any]:
    return {name: user.__dict__.get(name) for name in RIGHTS}


def _remember_rights(instance: User, **_: Any) -> None:
    instance._rights_before = _rights(instance)  # type: ignore[attr-defined]


def _end_if_rights_changed(instance: User, created: bool, **_: Any) -> None:
    before, now = instance._rights_before, _rights(instance)  # type: ignore[attr-defined]
    if not created and before["password"] != now["password"]:
        browsers.sign_out(browsers.of(instance))  # they would be refused anyway: let none stand in a list
    if not created and before != now:
        end([instance])
    _remember_rights(instance)


def _end_of_deleted(instance: User, **_: Any) -> None:
    end([instance])


def _end_if_permissions_changed(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    """`instance` is the user, or, from the other side, the group or permission whose users `pk_set` names."""
    if action in ("post_add", "post_remove"):
        end(pk_set or () if reverse else [instance])
    elif action == "pre_clear":
        end(list(instance.user_set.all()) if reverse else [instance])


def _end_of_members(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    if action in ("post_add", "post_remove", "pre_clear"):
        groups = [instance.pk] if not reverse else list(pk_set or instance.group_set.values_list("pk", flat=True))
        end(list(get_user_model().objects.filter(groups__in=groups).distinct()))


def _end_of_deleted_group(instance: Group, **_: Any) -> None:
    end(list(instance.user_set.all()))


def _record_sign_in(request: HttpRequest, user: User, **_: Any) -> None:
    audit.record("session.signed_in", request=request, actor=user)
    browsers.begin(request, user)


def _end_on_sign_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        audit.record("session.signed_out", request=request, actor=user)
        end([user])


def _record_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """The name is kept only where it is an account's: people type passwords into this field."""
    account = get_user_model().objects.filter(username=credentials.get("username")).first()
    audit.record("session.refused", request=request, subject=account)
