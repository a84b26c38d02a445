"""Marks at 80, 90 and 100 % of a limit: each is said once in the limit's window, to its user and to the audit trail."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, TypedDict

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from redis.exceptions import RedisError

from lobby import audit
from lobby.accounts.allowances import Kind
from lobby.live.connections import sync_redis
from lobby.live.streams import publish

log = structlog.get_logger()

FULL = 100
MARKS = (FULL, 90, 80)  # percent
MOST_SAID = 10_000  # that a process keeps in mind
HOURLY = (Kind.RUNS_PER_HOUR, Kind.DEBATES_PER_HOUR, Kind.RUNS_QUEUED, Kind.DEBATES_AT_ONCE)  # the rest is by the day
WORDS = {
    Kind.TOKENS_PER_DAY: "You have used {percent} % of today's tokens; they renew at 00:00 UTC.",
    Kind.RUNS_PER_HOUR: "You have had {percent} % of the replies you may have within an hour.",
    Kind.DEBATES_PER_HOUR: "You have begun {percent} % of the debates you may begin within an hour.",
    Kind.STORAGE: "Your chats fill {percent} % of the room you have. What you delete makes room at once.",
}

_said: set[str] = set()


class LimitMark(TypedDict):
    """On `user:<id>`: so much of a limit is used."""

    type: Literal["limit.mark"]
    kind: str
    percent: int
    words: str


def mark_of(used: int, limit: int | None) -> int | None:
    """The highest mark that is reached."""
    if not limit:
        return None
    return next((mark for mark in MARKS if used * 100 >= mark * limit), None)


def percent_of(used: int, limit: int) -> int:
    """Rounded down, so that 100 is said of nothing that is not used up."""
    return min(FULL, used * 100 // limit) if limit else FULL


def words_for(kind: str, percent: int) -> str:
    return WORDS[Kind(kind)].format(percent=percent) if kind in WORDS else ""


def note(user: int | None, kind: str, *, used: int, limit: int | None) -> None:
    """Say on commit which mark that reaches, if it does and that was not said before. None: of all users together."""
    if limit and (mark := mark_of(used, limit)):
        say = partial(_say_once, user, kind, mark, percent=percent_of(used, limit), used=used, limit=limit)
        transaction.on_commit(say, robust=True)


def refused(user: int | None, kind: str) -> None:
    """Somebody was turned away at the end of a limit. Not within the transaction that was undone for it."""
    _say_once(user, kind, FULL, percent=FULL)


def _say_once(user: int | None, kind: str, mark: int, *, percent: int, **numbers: Any) -> None:
    key = f"lobby:mark:{user}:{kind}:{mark}:{_window(kind)}"
    if not _is_first(key):
        return
    row = User.objects.filter(pk=user).first() if user else None
    action = "limit.reached" if mark == FULL else "limit.near"
    audit.record(action, actor=row, subject=row, kind=kind, percent=percent, **numbers)
    if user and kind in WORDS:
        _tell(user, {"type": "limit.mark", "kind": kind, "percent": percent, "words": words_for(kind, percent)})


def _window(kind: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H}" if kind in HOURLY else f"{datetime.now(UTC):%Y-%m-%d}"


def _is_first(key: str) -> bool:
    """Among all processes; while Redis is away in this one."""
    if key in _said:
        return False
    if len(_said) >= MOST_SAID:
        _said.clear()
    _said.add(key)
    try:
        return bool(sync_redis().set(key, 1, nx=True, ex=timedelta(days=1)))
    except RedisError:
        return True


def forget() -> None:
    """What this process said counts no more."""
    _said.clear()


def _tell(user: int, event: LimitMark) -> None:
    try:
        publish(f"user:{user}", event)
    except RedisError as error:
        log.warning("limit.mark_not_told", user=user, error=str(error))
