"""A forgotten password: a link by mail, for an hour and one use."""

from typing import Any

from allauth.account.internal.flows.password_reset import request_password_reset
from allauth.account.internal.userkit import filter_users_by_email
from allauth.account.utils import url_str_to_user_pk
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest

from lobby import audit


def ask(request: HttpRequest, *, email: str) -> None:
    """Mail a link to each account with this address. Who is asked for learns it, who asks does not."""
    found = filter_users_by_email(email, is_active=True, prefer_verified=True, for_login=True)
    users = [user for user in found if not _is_the_providers(user)]
    request_password_reset(request, email, users, default_token_generator)
    for user in users:
        audit.record("account.password_reset_asked", request=request, subject=user)


def owner(key: str, *, locked: bool = False) -> User | None:
    """Whose link this is; None if it is wrong, used or too old. Locked, he waits for others with the same link."""
    uid, _, token = key.partition("-")
    users = get_user_model().objects.filter(is_active=True)
    try:
        user = (users.select_for_update() if locked else users).filter(pk=url_str_to_user_pk(uid)).first()
    except ValueError:
        return None
    return user if user and default_token_generator.check_token(user, token) else None


def _is_the_providers(user: Any) -> bool:
    """Who comes by single sign-on alone shall not get a way past it by mail."""
    return not user.has_usable_password() and user.socialaccount_set.exists()
