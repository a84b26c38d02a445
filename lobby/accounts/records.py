"""What the account itself is, as a person's own data: the part of lobby.accounts (own_data.py)."""

from collections.abc import Iterator
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models import Q

from lobby.accounts.models import ApiKey, Invitation, Limit, Use, UserSession
from lobby.accounts.own_data import File, Part, one, rows


def files(user: User) -> Iterator[File]:
    """Nothing that opens a door: of keys, second factors and sessions only that they are there."""
    invited = Invitation.objects.filter(Q(invited_by=user) | Q(used_by=user))
    yield one("account/profile.json", profile(user))
    yield rows("account/keys.json", ApiKey.objects.filter(user=user), without=["digest"])
    yield rows("account/sessions.json", UserSession.objects.filter(user=user), without=["key"])
    yield rows("account/limits.json", Limit.objects.filter(user=user))
    yield rows("account/use.json", Use.objects.filter(user=user))
    yield rows("account/invitations.json", invited, without=["digest"])
    yield rows("account/email_addresses.json", EmailAddress.objects.filter(user=user))
    yield rows("account/second_factors.json", Authenticator.objects.filter(user=user), without=["data"])
    yield rows("account/single_sign_on.json", SocialAccount.objects.filter(user=user))
    yield rows("account/done_in_the_admin.json", LogEntry.objects.filter(user=user))


def profile(user: User) -> dict[str, Any]:
    columns = ("id", "username", "first_name", "last_name", "email", "is_staff", "is_superuser", "date_joined")
    groups = user.groups.values_list("name", flat=True)
    permissions = user.user_permissions.values_list("codename", flat=True)
    said = {column: getattr(user, column) for column in (*columns, "last_login")}
    return {**said, "groups": list(groups), "permissions": list(permissions)}


def remove(user: User) -> None:
    """What nothing else refers to. Rows of others keep no name (ON DELETE SET NULL)."""
    Session.objects.filter(session_key__in=UserSession.objects.filter(user=user).values("key")).delete()
    for model in (ApiKey, UserSession, Limit, Use, EmailAddress, Authenticator, SocialAccount, LogEntry):
        model.objects.filter(user=user).delete()


PART = Part(files=files, remove=remove)
