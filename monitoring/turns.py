"""Work that several processes would do and one does: whoever takes the turn."""

from datetime import timedelta

from django.db.models.functions import Now

from monitoring.models import Turn


def take(name: str, *, after: timedelta) -> bool:
    """Whether it is ours: the last turn was begun longer ago than that, and nobody else took this one."""
    if Turn.objects.filter(pk=name, at__lte=Now() - after).update(at=Now()):
        return True
    if Turn.objects.filter(pk=name).exists():
        return False
    made = Turn.objects.bulk_create([Turn(name=name)], ignore_conflicts=True)
    return bool(made) and take(name, after=timedelta())
