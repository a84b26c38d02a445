from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from monitoring.models import Alert, Receiver  # noqa: F401  (named by the generics below)

SEVERITIES = ("info", "warning", "critical")  # the least first


class AlertQuerySet(models.QuerySet["Alert"]):
    def open(self) -> AlertQuerySet:
        """Raised and not over."""
        return self.filter(raised_at__isnull=False, resolved_at=None)

    def worst_first(self) -> AlertQuerySet:
        ranks = [models.When(rule__severity=severity, then=rank) for rank, severity in enumerate(SEVERITIES)]
        return self.order_by(models.Case(*ranks, default=0).desc(), "raised_at")


class ReceiverQuerySet(models.QuerySet["Receiver"]):
    def for_severity(self, severity: str) -> ReceiverQuerySet:
        """Those who want to know of it."""
        below = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return self.filter(is_enabled=True, least_severity__in=below)
