"""An account goes, with all that is kept about the person. What stays is the audit trail: a name and a number."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest

from lobby import audit
from lobby.accounts.own_data import PARTS


class LastAdmin(Exception):
    def __init__(self) -> None:
        super().__init__(
            "This is the only admin that is left. Make somebody else an admin first, or nobody could manage this "
            "installation."
        )


def remove(user: User, *, by: Any = None, request: HttpRequest | None = None) -> None:
    """Nobody comes in by it from the first moment; what runs is stopped; then all of it goes in one transaction.

    `by`: who does it, if not the user. If this breaks off, the account is switched off, and it can be done again.
    Raises LastAdmin.
    """
    shut(user)
    parts = list(reversed(PARTS.values()))  # apps that know others come after them
    for part in parts:
        part.stop(user)
    with transaction.atomic():
        audit.record("account.deleted", request=request, actor=by or user, subject=user, name=user.get_username())
        for part in parts:
            part.remove(user)
        user.delete()


def leaves_an_admin(users: list[User]) -> bool:
    """Whether there would still be one without these."""
    gone = {user.pk for user in users}
    admins = set(User.objects.filter(is_superuser=True, is_active=True).values_list("pk", flat=True))
    return bool(admins - gone) or not admins & gone


@transaction.atomic
def shut(user: User) -> None:
    """Sockets, sessions and keys end with it. Raises LastAdmin: of two who go at once, one stays."""
    admins = User.objects.select_for_update().filter(is_superuser=True, is_active=True)
    if list(admins.order_by("pk").values_list("pk", flat=True)) == [user.pk]:
        raise LastAdmin
    user.is_active = False
    user.save(update_fields=["is_active"])
