"""What a user may still ask for: counted from rows, and by the hour in Redis.

Replies beyond those at once wait in line (agents/queue.py); here is refused what finds the line, the hour or the day
full. Each limit is looked at twice: the user's own, and the one of all users together.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from agents.errors import TokensUsedUp, TooManyRuns
from lobby import limits
from lobby.accounts import allowances, marks, tokens
from lobby.accounts.allowances import METERS, Kind, Scope, Used
from lobby.limits import PerHour, span

# Questions of one user that may be between counting and commit at the same moment: as many as four web processes take.
IN_FLIGHT = 32
OWNERS = 0x4C4F4242  # the first half of our advisory locks' names; the second is the user's key
NO_LIMIT = 2**62
HOUR = timedelta(hours=1)
SOON = 5  # seconds until a place in line may be free

OF_OWNER = "(%(owner)s::int IS NULL OR owner_id = %(owner)s)"
AN_HOUR_AGO = "statement_timestamp() - interval '1 hour'"
WAITING = f"SELECT count(*) FROM agents_run WHERE status = 'queued' AND priority = 0 AND {OF_OWNER}"  # noqa: S608
THIS_HOUR = f"FROM agents_run WHERE priority = 0 AND queued_at > {AN_HOUR_AGO} AND {OF_OWNER}"
COUNT = f"""
SELECT ({WAITING}), (SELECT count(*) {THIS_HOUR}),
       (SELECT COALESCE(sum(tokens), 0) FROM accounts_use WHERE day = {tokens.TODAY} AND user_id = %(owner)s)
"""  # noqa: S608  (made of constants)


@dataclass(frozen=True, slots=True)
class Words:
    """What is said at the end of each limit."""

    line: str
    hour: str
    day: str


OWN = Words(
    line="{used:,} of your questions wait in line, and {limit:,} is the limit. Wait for one to start, or stop one.",
    hour="That was the limit of {limit:,} answers an hour. Try again in {wait}.",
    day="Today's {limit:,} tokens are used up. They renew at 00:00 UTC, in {wait}.",
)
EVERYBODYS = Words(
    line="{used:,} questions of all users wait in line, as many as this lobby takes. Try again in {wait}.",
    hour="All users together had {limit:,} answers within an hour, the limit of this lobby. Try again in {wait}.",
    day="All users together have used up today's {limit:,} tokens of this lobby. They renew at 00:00 UTC, in {wait}.",
)
OFF = "An admin has switched this off: the limit is 0."


@dataclass(frozen=True, slots=True)
class Level:
    """A user, or all users together (no owner): what they have used, and what they may."""

    owner: int | None
    waiting: int
    this_hour: int
    tokens_today: int

    def limit(self, kind: Kind) -> int | None:
        return allowances.total(kind) if self.owner is None else allowances.allowed(self.owner, kind)

    @property
    def words(self) -> Words:
        return EVERYBODYS if self.owner is None else OWN

    @property
    def key(self) -> str:
        return "all" if self.owner is None else str(self.owner)

    def say(self, words: str, *, limit: int, wait: int, used: int = 0) -> str:
        return words.format(limit=limit, used=used, wait=span(wait)) if limit else OFF


def check(owner: Any, *, is_reply: bool) -> None:
    """May this user have another run now? Only replies wait, and count by the hour; tokens hold for every run.

    Raises TooManyRuns, TokensUsedUp.
    """
    levels = [_count_exactly(owner.pk) if is_reply else _count(owner.pk)]
    if _is_shared():
        levels.append(_count_together())
    for level in levels:
        _check_day(level)
        if is_reply:
            _check_line(level)
    if is_reply:
        _count_in_hour(levels)


def one_at_a_time(owner: int) -> None:
    """Until the transaction ends, whoever else comes here for this user waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [OWNERS, owner])


def _is_shared() -> bool:
    kinds = (Kind.RUNS_QUEUED, Kind.RUNS_PER_HOUR, Kind.TOKENS_PER_DAY)
    return any(allowances.total(kind) is not None for kind in kinds)


def _count_exactly(owner: int) -> Level:
    """Near the end of the line one question at a time is counted, so that many at once do not exceed it."""
    limit = allowances.allowed(owner, Kind.RUNS_QUEUED)
    if limit is None:
        return _count(owner)
    if limit > IN_FLIGHT and (counted := _count(owner)).waiting <= limit - IN_FLIGHT:
        return counted
    one_at_a_time(owner)
    return _count(owner)


def _count(owner: int) -> Level:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"owner": owner})
        waiting, this_hour, today = cursor.fetchone()
    return Level(owner, waiting=waiting, this_hour=this_hour, tokens_today=int(today))


def _count_together() -> Level:
    """Their line exactly; the hour, which Redis counts, and the day as they were a few seconds ago."""
    return Level(
        None,
        waiting=METERS[Kind.RUNS_QUEUED](None).number,
        this_hour=allowances.recent("runs", lambda: METERS[Kind.RUNS_PER_HOUR](None).number),
        tokens_today=allowances.recent("tokens", lambda: tokens.used_today(None).number),
    )


def _check_day(level: Level) -> None:
    limit = level.limit(Kind.TOKENS_PER_DAY)
    if limit is None or level.tokens_today < limit:
        return
    wait = tokens.until_midnight()
    words = level.say(level.words.day, limit=limit, wait=wait)
    raise TokensUsedUp(words, retry_after=wait, limit=Kind.TOKENS_PER_DAY)


def _check_line(level: Level) -> None:
    limit = level.limit(Kind.RUNS_QUEUED)
    if limit is None or level.waiting < limit:
        return
    words = level.say(level.words.line, limit=limit, used=level.waiting, wait=SOON)
    raise TooManyRuns(words, retry_after=SOON, limit=Kind.RUNS_QUEUED)


def _count_in_hour(levels: list[Level]) -> None:
    held = [(level, limit) for level in levels if (limit := level.limit(Kind.RUNS_PER_HOUR)) is not None]
    # Nobody's own hour is used up by what the common one refuses.
    for count in (limits.wait, limits.hit) if len(held) > 1 else (limits.hit,):
        for level, limit in held:
            if seconds := count(PerHour(limit), "runs", level.key, counted=level.this_hour):
                words = level.say(level.words.hour, limit=limit, wait=seconds)
                raise TooManyRuns(words, retry_after=seconds, limit=Kind.RUNS_PER_HOUR)
    for level, limit in held:
        marks.note(level.owner, Kind.RUNS_PER_HOUR, used=level.this_hour + 1, limit=limit)


def at_once() -> dict[str, Any]:
    """How many replies may be written at once, as queue.CLAIM takes it. NO_LIMIT stands where none holds."""
    rows = [(row, NO_LIMIT if row.value is None else row.value) for row in allowances.rows_of(Kind.RUNS_AT_ONCE)]
    everybodys = [value for row, value in rows if row.scope == Scope.EACH]
    default = allowances.default(Kind.RUNS_AT_ONCE)
    return {
        "users": [row.user for row, _ in rows if row.scope == Scope.USER],
        "of_users": [value for row, value in rows if row.scope == Scope.USER],
        "groups": [row.group for row, _ in rows if row.scope == Scope.GROUP],
        "of_groups": [value for row, value in rows if row.scope == Scope.GROUP],
        "each": next(iter(everybodys), NO_LIMIT if default is None else default),
        "together": allowances.total(Kind.RUNS_AT_ONCE),
    }


def connect() -> None:
    """Tell what is used of the limits of runs."""
    running = WAITING.replace("queued", "running")
    METERS[Kind.RUNS_AT_ONCE] = lambda owner: _used(running, owner)
    METERS[Kind.RUNS_QUEUED] = lambda owner: _used(WAITING, owner)
    METERS[Kind.RUNS_PER_HOUR] = lambda owner: _used(
        f"SELECT count(*), min(queued_at) + interval '1 hour' {THIS_HOUR}",  # noqa: S608  (made of constants)
        owner,
    )
    METERS[Kind.TOKENS_PER_DAY] = tokens.used_today


def _used(sql: str, owner: int | None) -> Used:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"owner": owner})
        return Used(*cursor.fetchone())
