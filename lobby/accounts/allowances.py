"""What each may use: which limit holds for whom, and what is used of it.

A user's own row beats those of his groups, of which the most generous holds; these beat the row for each user, and
that beats the settings. The installation's row is a total over all users and holds besides.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models.signals import m2m_changed, post_delete, post_save

from lobby.accounts.models import Limit

Kind = Limit.Kind
Scope = Limit.Scope
KEPT = 5.0  # seconds until a process sees what another one changed

# Where the settings say what holds while no row does
SETTINGS = {
    Kind.RUNS_AT_ONCE: "RUNS_PER_USER",
    Kind.RUNS_QUEUED: "QUEUED_PER_USER",
    Kind.RUNS_PER_HOUR: "RUNS_PER_HOUR",
    Kind.TOKENS_PER_DAY: "TOKENS_PER_DAY",
    Kind.DEBATES_AT_ONCE: "DEBATES_PER_USER",
    Kind.DEBATES_PER_HOUR: "DEBATES_PER_HOUR",
    Kind.DEBATE_SEATS: "DEBATE_SEATS",
    Kind.DEBATE_TOKENS: "DEBATE_TOKENS",
    Kind.STORAGE: "STORAGE_MB",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A Limit, as far as it decides."""

    kind: str
    scope: str
    user: int | None
    group: int | None
    value: int | None


@dataclass(frozen=True, slots=True)
class Used:
    """Of a limit, in its unit; `resets_at`: when some of it is free again by itself."""

    number: int
    resets_at: datetime | None = None


# What a user (None: all together) has used of each kind, filled in AppConfig.ready. Kinds that are the size of one
# thing have no meter.
METERS: dict[str, Callable[[int | None], Used]] = {}


@dataclass(slots=True)
class _Known:
    """Read together, and read anew together."""

    until: float
    rows: tuple[Row, ...]
    groups: dict[int, frozenset[int]] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)


_kept: _Known | None = None


def allowed(user: int, kind: str) -> int | None:
    """How much the user with this key may use; None: as much as he likes."""
    known = _known()
    rows = [row for row in known.rows if row.kind == kind]
    groups = _groups_of(user, known) if any(row.group for row in rows) else frozenset()
    return choose(rows, user=user, groups=groups, default=default(kind))


def total(kind: str) -> int | None:
    """How much all users together may use."""
    rows = (row.value for row in _known().rows if (row.kind, row.scope) == (kind, Scope.INSTALLATION))
    return next(rows, None)


def default(kind: str) -> int | None:
    limit: int | None = getattr(settings, SETTINGS[Kind(kind)])
    return limit


def choose(rows: Iterable[Row], *, user: int, groups: Collection[int], default: int | None) -> int | None:
    """Which of the rows of one kind holds for a user."""
    found = list(rows)
    for held in (
        [row.value for row in found if row.scope == Scope.USER and row.user == user],
        [row.value for row in found if row.scope == Scope.GROUP and row.group in groups],
        [row.value for row in found if row.scope == Scope.EACH],
    ):
        if held:
            return None if None in held else max(value for value in held if value is not None)
    return default


def rows_of(kind: str) -> list[Row]:
    return [row for row in _known().rows if row.kind == kind]


def recent(name: str, read: Callable[[], int]) -> int:
    """A sum over all users, which takes a while to read: not older than what is known of the limits."""
    sums = _known().sums
    if name not in sums:
        sums[name] = read()
    return sums[name]


def _known() -> _Known:
    global _kept  # noqa: PLW0603  (one per process)
    now = time.monotonic()
    known = _kept
    if known is None or known.until <= now:
        rows = Limit.objects.order_by().values_list("kind", "scope", "user", "group", "value")
        known = _kept = _Known(now + KEPT, tuple(Row(*row) for row in rows))
    return known


def _groups_of(user: int, known: _Known) -> frozenset[int]:
    if user not in known.groups:
        known.groups[user] = frozenset(Group.objects.filter(user=user).order_by().values_list("pk", flat=True))
    return known.groups[user]


def forget(**_: Any) -> None:
    """Read everything anew next time."""
    global _kept  # noqa: PLW0603
    _kept = None


def connect() -> None:
    """This process sees at once what it changed itself."""
    post_save.connect(forget, sender=Limit)
    post_delete.connect(forget, sender=Limit)
    m2m_changed.connect(forget, sender=User.groups.through)


def midnight() -> datetime:
    """When the day ends, in UTC."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
