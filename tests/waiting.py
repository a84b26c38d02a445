"""Tests wait for a condition, never for a time."""

from collections.abc import Callable
from time import monotonic, sleep

from django.db import connection


def wait_for(condition: Callable[[], object], *, seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {condition}")
        sleep(0.02)


def nobody_else_asks() -> bool:
    """No other process is in the middle of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND state <> 'idle'"
        )
        return not cursor.fetchone()[0]


def somebody_waits_for_a_lock() -> bool:
    """In the database; also seen from within a transaction, which would go on seeing what it saw first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(cursor.fetchone()[0])
