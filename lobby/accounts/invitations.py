"""Letting one person make an account: by a link that is shown, or mailed, once."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from lobby import audit
from lobby.accounts import attempts, mails
from lobby.accounts.models import Invitation
from lobby.accounts.permissions import EVERYBODY

SALT = "lobby.accounts.invitations"
PERMISSION = "accounts.add_invitation"


class InvitationOver(Exception):
    """There is no such invitation (any more), or it is for another address."""


@dataclass(frozen=True, slots=True)
class Invited:
    row: Invitation
    link: str  # nobody sees it again
    is_mailed: bool


def send(
    request: HttpRequest, *, email: str, days: int, groups: Iterable[Group] = (), is_mailed: bool = False
) -> Invited:
    """Invite in the name of whoever asks. Not mailed, though it was asked for, where too many mails went there."""
    with transaction.atomic():
        row, path = invite(request.user, email=email, groups=groups, days=days)
        audit.record("invitation.made", request=request, subject=row, email=email)
    link = mails.absolute(request, path)
    may_mail = is_mailed and attempts.may_mail(email)
    if may_mail:
        mails.send("invitation", to=email, address=link, inviter=request.user, days=days)
    return Invited(row, link, may_mail)


def invite(by: Any, *, email: str = "", groups: Iterable[Group] = (), days: int = 7) -> tuple[Invitation, str]:
    """The row, and the path of the link: it can't be shown again. Where `email` is given only that address may sign
    up by it."""
    token = secrets.token_urlsafe(32)
    expiry = timezone.now() + timedelta(days=days)
    row = Invitation.objects.create(email=email, digest=_digest(token), invited_by=by, expires_at=expiry)
    row.groups.set(groups)
    return row, reverse("sign-up-invited", args=[token])


def find(token: str) -> Invitation | None:
    """One that can still be used."""
    return usable().filter(digest=_digest(token)).first()


def usable() -> QuerySet[Invitation]:
    return Invitation.objects.filter(used_at=None, expires_at__gt=timezone.now())


def redeem(token: str, *, user: Any, email: str) -> None:
    """Use it up for this new user, who joins its groups. Of two at once one gets it. Raises InvitationOver."""
    fitting = usable().filter(Q(email="") | Q(email__iexact=email), digest=_digest(token))
    if fitting.update(used_at=timezone.now(), used_by=user) != 1:
        raise InvitationOver
    user.groups.add(*Invitation.objects.get(digest=_digest(token)).groups.all())


def revoke(row: Invitation, *, request: HttpRequest) -> bool:
    """False if it was used, or over, already."""
    with transaction.atomic():
        if usable().filter(pk=row.pk).update(expires_at=timezone.now()) != 1:
            return False
        audit.record("invitation.revoked", request=request, subject=row)
    return True


def seen_by(user: Any) -> QuerySet[Invitation]:
    """Those he made, and of a superuser all; the newest first."""
    rows = Invitation.objects.select_related("invited_by", "used_by")
    return rows if user.is_superuser else rows.filter(invited_by=user)


def groups_of(inviter: Any) -> QuerySet[Group]:
    """Those that somebody may invite into: nobody hands out more than he has."""
    groups: QuerySet[Group] = Group.objects.all() if inviter.is_superuser else inviter.groups.all()
    return groups.exclude(name=EVERYBODY)


def may_invite(user: Any) -> bool:
    return bool(user.is_staff and user.has_perm(PERMISSION))


def _digest(token: str) -> str:
    return salted_hmac(SALT, token, algorithm="sha256").hexdigest()
