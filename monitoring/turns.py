"""Work that several processes would do and one does: whoever takes the turn."""

from datetime import UTC, datetime, timedelta

from django.db.models.functions import Now

from monitoring.models import Turn

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def take(name: str, *, after: timedelta) -> bool:
    """Whether it is ours: the last turn was taken longer ago than that, and nobody else took this one."""
    due = Turn.objects.filter(pk=name, at__lte=Now() - after)
    if due.update(at=Now()):
        return True
    made = not Turn.objects.filter(pk=name).exists()
    if made:
        Turn.objects.bulk_create([Turn(name=name, at=NEVER)], ignore_conflicts=True)
    return made and bool(due.update(at=Now()))


def is_overdue(name: str, *, after: timedelta) -> bool:
    """Whether nobody took it for so long."""
    return not Turn.objects.filter(pk=name, at__gt=Now() - after).exists()
