"""Who may do what, beyond owning rows: chat, begin debates, manage agents, see the installation's figures.

What the group "Everybody" is given holds for every active user, member or not. An admin takes it away there and gives
it to other groups. While there is no such group, and at first, that is CHAT and DEBATE.
"""

import time
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models.signals import m2m_changed, post_delete, post_save

CHAT = "accounts.chat"
DEBATE = "accounts.debate"
MANAGE_AGENTS = "accounts.manage_agents"
SEE_METRICS = "monitoring.see_metrics"

EVERYBODY = "Everybody"
DEFAULTS = frozenset({CHAT, DEBATE})
# Who manages agents may do in the admin what Django's own permissions for these rows allow.
OF_MANAGING = frozenset(
    f"agents.{verb}_{noun}" for verb in ("view", "add", "change", "delete") for noun in ("agent", "host")
)
WORDS = {
    CHAT: "You may not ask agents here; ask an admin.",
    DEBATE: "You may not start debates here; ask an admin.",
    MANAGE_AGENTS: "You may not change agents here; ask an admin.",
    SEE_METRICS: "You may not see the figures of this installation; ask an admin.",
}
KEPT = 5.0  # seconds until another process's change is seen

_kept: tuple[float, frozenset[str]] | None = None  # until when, and what everybody may


def may(user: Any, permission: str) -> bool:
    """Without a query where everybody may."""
    return bool(user.has_perm(permission))


def require(user: Any, permission: str) -> None:
    """Raises PermissionDenied with words for whoever asked."""
    if not may(user, permission):
        raise PermissionDenied(WORDS[permission])


class Everybody:
    """The authentication backend that stands before Django's own. It signs nobody in."""

    def authenticate(self, request: Any) -> None:
        """Django asks every backend; without credentials to take it is passed over."""

    def has_perm(self, user: Any, permission: str, row: Any = None) -> bool:
        if not user.is_active:
            return False
        return permission in _everybodys() or (permission in OF_MANAGING and may(user, MANAGE_AGENTS))

    def has_module_perms(self, user: Any, app: str) -> bool:
        return user.is_active and app == "agents" and may(user, MANAGE_AGENTS)


def _everybodys() -> frozenset[str]:
    global _kept
    now = time.monotonic()
    if _kept is None or _kept[0] <= now:
        _kept = (now + KEPT, _read())
    return _kept[1]


def _read() -> frozenset[str]:
    """One query: a group without permissions is a row with none."""
    rows = Group.objects.filter(name=EVERYBODY)
    found = list(rows.values_list("permissions__content_type__app_label", "permissions__codename"))
    return frozenset(f"{app}.{code}" for app, code in found if code) if found else DEFAULTS


def forget(**_: Any) -> None:
    """Read it anew next time."""
    global _kept
    _kept = None


def connect() -> None:
    """This process sees at once what it changed itself."""
    m2m_changed.connect(forget, sender=Group.permissions.through)
    post_save.connect(forget, sender=Group)
    post_delete.connect(forget, sender=Group)


def ensure_everybody(**_: Any) -> None:
    """After every migration, once the permissions have rows: the group, where it is missing, with the defaults."""
    group, is_new = Group.objects.get_or_create(name=EVERYBODY)
    if is_new:
        codes = [permission.partition(".")[2] for permission in DEFAULTS]
        group.permissions.set(Permission.objects.filter(content_type__app_label="accounts", codename__in=codes))
