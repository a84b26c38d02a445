"""What the clock rings for."""

from celery import shared_task

from monitoring import (
    alerts,
    beats,  # noqa: F401  (the beat's process marks its signs of life)
    notices,
    retention,
    snapshots,
    totals,
)


@shared_task
def watch() -> None:
    alerts.watch()
    notices.send_due()


@shared_task
def take_snapshot() -> None:
    now = snapshots.minute_now()
    snapshots.take(now)
    snapshots.thin(now)


@shared_task
def seal_totals() -> None:
    totals.seal()


@shared_task
def let_go() -> None:
    retention.let_go()
