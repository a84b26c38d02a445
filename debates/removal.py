"""Taking a debate away for good, with everything that was said in it."""

from contextlib import suppress

from django.db import transaction
from django.http import HttpRequest

from debates import controls
from debates.costs import runs_of
from debates.errors import NotNow
from debates.events import say
from debates.models import Debate
from lobby import audit


def remove(debate: Debate, *, request: HttpRequest | None = None) -> None:
    """Runs and all. What is being said is cut off first: a run whose row is gone could not be."""
    with suppress(NotNow):  # it has ended
        controls.stop(debate)
    with transaction.atomic():
        audit.record("debate.deleted", request=request, actor=None if request else debate.owner, subject=debate)
        runs_of(debate).delete()
        say(f"user:{debate.owner_id}", {"type": "debate.listed", "debate": str(debate.pk), "change": "deleted"})
        debate.delete()
