"""What is let go with age, so that the database does not grow for ever (the LOBBY_KEEP_… settings).

In small transactions and for a limited time; what is left waits for the next bell. Whoever is at a row keeps it, and
doing it twice, or by two at once, does no harm. The counters of monitoring.totals stay as they are, and so does the
audit trail: nothing here deletes from it (docs/operating.md says how it is archived).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from agents.models import Run
from chat.models import Conversation, Message
from debates.models import Ballot, Probe, Speech
from lobby.accounts.models import ApiKey, Invitation, UserSession
from monitoring import turns
from monitoring.models import Alert

log = structlog.get_logger()

AT_ONCE = 500  # rows of one transaction
LOOKED_AT = 2000  # runs of which it is asked at once whether they belong to anything
BUDGET = 60  # seconds of one bell
DAILY = timedelta(hours=23)  # for what has to look at every old run
SIGNING_IN = timedelta(days=1)  # a browser's row may be there before its session is
# As in the index run_with_prompt. A failed run's prompt stays: it may be tried again
WITH_PROMPT = Q(finished_at__isnull=False) & ~Q(status=Run.Status.FAILED) & ~Q(messages=[])
# Whom a run can work for
SUBJECTS = (Message, Conversation, Speech, Ballot, Probe)

Step = Callable[[datetime], int]  # does a part of the work on what is older, and returns how many rows that were


def let_go(*, now: datetime | None = None) -> dict[str, int]:
    """Do all that is due, and tell how many rows that was, by kind."""
    now = now or timezone.now()
    until = monotonic() + BUDGET
    done = {name: _in_steps(step, now - age, until=until) for name, age, step in _rules()}
    if settings.KEEP_RUNS and turns.take("retention.runs", after=DAILY):
        done["runs"] = forget_orphans(now - timedelta(days=settings.KEEP_RUNS), until=until)
    if done := {name: number for name, number in done.items() if number}:
        log.info("let_go", **done)
    return done


def _rules() -> list[tuple[str, timedelta, Step]]:
    """(what, at which age, how), but for what is kept for ever."""
    rules: list[tuple[str, int, Step]] = [
        ("prompts", settings.KEEP_PROMPTS, forget_prompts),
        ("api_keys", settings.KEEP_EXPIRED, forget_api_keys),
        ("invitations", settings.KEEP_EXPIRED, forget_invitations),
        ("alerts", settings.KEEP_ALERTS, forget_alerts),
    ]
    always: list[tuple[str, timedelta, Step]] = [
        ("sessions", timedelta(0), forget_sessions),
        ("browsers", SIGNING_IN, forget_browsers),
    ]
    return [*always, *((name, timedelta(days=days), step) for name, days, step in rules if days)]


def _in_steps(step: Step, before: datetime, *, until: float) -> int:
    total = 0
    while (number := step(before)) and monotonic() < until:
        total += number
    return total + number


def forget_prompts(before: datetime) -> int:
    """Also what was measured at each token. The reply itself stays, as do the figures."""
    rows = Run.objects.filter(WITH_PROMPT, finished_at__lt=before).order_by("finished_at")
    return _with_some(rows, lambda some: some.update(messages=[], format=None, logprobs=None))


def forget_sessions(before: datetime) -> int:
    return _with_some(Session.objects.filter(expire_date__lt=before), _delete)


def forget_browsers(before: datetime) -> int:
    """Where somebody was signed in, until the session ran out."""
    session = Session.objects.filter(session_key=OuterRef("key"))
    return _with_some(UserSession.objects.filter(~Exists(session), seen_at__lt=before), _delete)


def forget_api_keys(before: datetime) -> int:
    return _with_some(ApiKey.objects.filter(Q(expires_at__lt=before) | Q(revoked_at__lt=before)), _delete)


def forget_invitations(before: datetime) -> int:
    return _with_some(Invitation.objects.filter(expires_at__lt=before), _delete)


def forget_alerts(before: datetime) -> int:
    """With the notes about them: while an alert is open, its notes say who was told already."""
    return _with_some(Alert.objects.filter(resolved_at__lt=before), _delete)


def forget_orphans(before: datetime, *, until: float = inf, looked_at: int = LOOKED_AT) -> int:
    """Runs that work for nothing that is still there. Each old run is looked at once, the oldest first."""
    old = Run.objects.filter(finished_at__lt=before).order_by("finished_at", "pk")
    rows = old.values_list("finished_at", "pk", "subject")
    deleted = 0
    some = list(rows[:looked_at])
    while some and monotonic() < until:
        deleted += _delete_orphans({pk: subject for _, pk, subject in some})
        at, last, _ = some[-1]
        some = list(rows.filter(finished_at__gte=at).exclude(finished_at=at, pk__lte=last)[:looked_at])
    return deleted


def _delete_orphans(subjects: dict[UUID, UUID]) -> int:
    """Of these runs, named with whom they work for."""
    there: set[UUID] = set()
    for model in SUBJECTS:
        there |= set(model._base_manager.filter(pk__in=set(subjects.values()) - there).values_list("pk", flat=True))
    alone = [run for run, subject in subjects.items() if subject not in there]
    parts = (alone[start : start + AT_ONCE] for start in range(0, len(alone), AT_ONCE))
    return sum(_with_some(Run.objects.filter(pk__in=part).order_by(), _delete) for part in parts)


def _with_some(rows: QuerySet[Any], do: Callable[[QuerySet[Any]], int]) -> int:
    """In one transaction, with as many as go at once; those that somebody is at are left."""
    with transaction.atomic():
        ids = list(rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:AT_ONCE])
        return do(rows.model._base_manager.filter(pk__in=ids)) if ids else 0


def _delete(rows: QuerySet[Any]) -> int:
    """How many, those that go with them not counted."""
    return rows.delete()[1].get(rows.model._meta.label, 0)
