"""The tokens that each user's runs took on a day, counted when a run ends: what is deleted later stays counted."""

from datetime import UTC, datetime
from math import ceil

from django.db import connection

from lobby.accounts import allowances, marks
from lobby.accounts.allowances import Kind, Used

TODAY = "(statement_timestamp() AT TIME ZONE 'UTC')::date"
SPEND = f"""
INSERT INTO accounts_use (user_id, day, tokens) VALUES (%s, {TODAY}, %s)
    ON CONFLICT (day, user_id) DO UPDATE SET tokens = accounts_use.tokens + EXCLUDED.tokens
RETURNING tokens
"""  # noqa: S608  (made of constants)
USED = f"""
SELECT COALESCE(sum(tokens), 0) FROM accounts_use
 WHERE day = {TODAY} AND (%(user)s::int IS NULL OR user_id = %(user)s)
"""  # noqa: S608


def spend(user: int, tokens: int) -> None:
    """Last in a transaction: the row of the day is locked until its end."""
    if not tokens:
        return
    with connection.cursor() as cursor:
        cursor.execute(SPEND, [user, tokens])
        used = cursor.fetchone()[0]
    marks.note(user, Kind.TOKENS_PER_DAY, used=used, limit=allowances.allowed(user, Kind.TOKENS_PER_DAY))
    if limit := allowances.total(Kind.TOKENS_PER_DAY):
        together = allowances.recent("tokens", lambda: used_today(None).number)
        marks.note(None, Kind.TOKENS_PER_DAY, used=together, limit=limit)


def used_today(user: int | None) -> Used:
    """Of one user, or of all."""
    with connection.cursor() as cursor:
        cursor.execute(USED, {"user": user})
        return Used(int(cursor.fetchone()[0]), allowances.midnight())


def until_midnight() -> int:
    """Seconds until the tokens renew."""
    return ceil((allowances.midnight() - datetime.now(UTC)).total_seconds())


def left_today(user: int) -> int | None:
    """None: as many as he likes."""
    held = [(user, allowances.allowed(user, Kind.TOKENS_PER_DAY)), (None, allowances.total(Kind.TOKENS_PER_DAY))]
    left = [max(0, limit - used_today(whose).number) for whose, limit in held if limit is not None]
    return min(left, default=None)
