from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from debates.models import Debate  # noqa: F401  (named by the generic below)


class DebateQuerySet(models.QuerySet["Debate"]):
    def visible_to(self, user: Any) -> DebateQuerySet:
        return self.filter(owner=user) if user.is_authenticated else self.none()

    def running(self) -> DebateQuerySet:
        return self.filter(status="running")

    def with_course(self) -> DebateQuerySet:
        """Each with its seats, rounds and all that belongs to them."""
        return self.prefetch_related(
            "seats__agent", "rounds__speeches", "rounds__ballots", "claims__round", "injections"
        )
