"""The kinds of topics there are. Each app adds its own in AppConfig.ready."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

Snapshot = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Topic:
    """`may_attach(user, id)` is asked on every attach; `snapshot(id)` is what the database knows.

    A snapshot's `runs` each carry the `cursor` of the last delta their text holds; what came after the earliest of
    them is replayed. `renew(id)`, where there is one, is called every few seconds in each process in which somebody
    listens, and only then.
    """

    may_attach: Callable[[Any, str], bool]
    snapshot: Callable[[str], Snapshot]
    renew: Callable[[str], None] | None = None


# What concerns one user in all open pages: the side bar's news, the session's end.
_user = Topic(may_attach=lambda user, ident: str(user.pk) == ident, snapshot=lambda _: {"type": "snapshot"})

TOPICS: dict[str, Topic] = {"user": _user}


def split(topic: str) -> tuple[Topic, str] | None:
    """The kind and the id of `chat:<uuid>`; None if there is no such kind or that is no id."""
    kind, _, ident = topic.partition(":")
    if kind not in TOPICS or not (ident.isdecimal() or _is_uuid(ident)):
        return None
    return TOPICS[kind], ident


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
