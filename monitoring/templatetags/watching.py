from dataclasses import dataclass
from typing import Any

from django import template

from monitoring import alerts
from monitoring.models import Alert, Notification
from monitoring.notices import describe
from monitoring.topics import may_see

register = template.Library()


@dataclass(frozen=True, slots=True)
class Shown:
    alert: Alert
    words: str
    undelivered: list[Notification]  # given up: who was not told, and why


@register.simple_tag
def open_alerts() -> list[Shown]:
    """For the dashboard: three queries for any number."""
    given_up = Notification.objects.filter(state=Notification.State.FAILED).select_related("receiver")
    found = list(alerts.open_alerts())
    untold: dict[Any, list[Notification]] = {}
    for notice in given_up.filter(alert__in=found):
        untold.setdefault(notice.alert_id, []).append(notice)
    return [Shown(alert, describe(alert), untold.get(alert.pk, [])) for alert in found]


@register.inclusion_tag("monitoring/critical.html", takes_context=True)
def critical_alerts(context: dict[str, Any]) -> dict[str, Any]:
    """For the lobby of who may see figures: what nobody has taken in hand yet."""
    if not may_see(context["request"].user):
        return {"alerts": []}
    waiting = alerts.open_alerts().filter(rule__severity="critical", acknowledged_at=None)
    return {"alerts": list(waiting)}
