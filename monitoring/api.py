from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.timezone import now
from ninja import Field, Query, Router

from agents.pages import page
from agents.schemas import Place
from lobby.schema import Schema
from monitoring import alerts, figures, history, trail, trail_views
from monitoring.models import Alert
from monitoring.notices import describe
from monitoring.topics import may_see

router = Router(tags=["monitoring"])


class Sample(Schema):
    name: str = Field(description="As in Prometheus, without `lobby_` before it.")
    value: float
    labels: dict[str, str]


class Dashboard(Schema):
    """How the installation is right now."""

    at: str = Field(description="ISO 8601, UTC.")
    samples: list[Sample]


class History(Schema):
    """Columns over one axis: `series[name][i]` is of the `step_seconds` from `at[i]` on; null: nothing is known."""

    span: history.Span
    step_seconds: int
    at: list[int] = Field(description="Seconds since 1970.")
    series: dict[str, list[float | None]] = Field(description="Counters as sums, gauges as means.")


@router.get("/dashboard", response=Dashboard)
def get_dashboard(request: HttpRequest) -> dict[str, Any]:
    """The figures of the dashboard, for staff and whoever may see metrics. Live: the topic `dashboard:0`."""
    _check(request)
    return {"at": now().isoformat(), "samples": figures.collect()}


@router.get("/dashboard/history", response=History)
def get_history(request: HttpRequest, span: history.Span = "24h") -> HttpResponse:
    """What the charts show: a day in steps of five minutes, or a month in steps of two hours."""
    _check(request)
    return HttpResponse(orjson.dumps(history.read(span)), content_type="application/json")  # thousands of numbers


class OpenAlert(Schema):
    id: UUID
    rule: str
    subject: str = Field(description="What it is about, for example a host; empty: the installation.")
    severity: str
    value: float
    text: str = Field(description="The figure behind it, in words.")
    advice: str
    since: datetime
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None


@router.get("/dashboard/alerts", response=list[OpenAlert])
def list_alerts(request: HttpRequest) -> list[dict[str, Any]]:
    """The open ones, the worst first. When there are others, the topic `dashboard:0` says `{"type": "alerts"}`."""
    _check(request)
    return [_told(alert) for alert in alerts.open_alerts()]


@router.post("/dashboard/alerts/{id}/acknowledge", response=OpenAlert)
def acknowledge_alert(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002 - the address's word
    """Say that you look after it: it stays open, and no longer calls. For staff."""
    if not request.user.is_staff:
        raise Http404
    alerts.acknowledge(get_object_or_404(Alert.objects.open(), pk=id), by=request.user, request=request)
    return _told(get_object_or_404(alerts.open_alerts(), pk=id))


def _told(alert: Alert) -> dict[str, Any]:
    who = alert.acknowledged_by
    return {
        "id": alert.pk,
        "rule": alert.rule.name,
        "subject": alert.subject,
        "severity": alert.rule.severity,
        "value": alert.value,
        "text": describe(alert),
        "advice": alert.rule.advice,
        "since": alert.since,
        "raised_at": alert.raised_at,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": who.get_username() if who else None,
    }


class AuditRow(Schema):
    id: int
    at: datetime
    action: str
    actor_id: int | None
    actor_name: str
    subject_kind: str
    subject_id: str
    address: str | None
    detail: dict[str, Any]


class AuditRows(Schema):
    items: list[AuditRow]
    next: str | None


class AuditFilter(Schema):
    actor: str = Field("", max_length=150, description="A user name.")
    action: str = Field("", max_length=60, description="Or its beginning: `agent`.")
    kind: str = Field("", max_length=80, description="Of the object, as in `agents.agent`.")
    subject: str = Field("", max_length=80, description="The object's id.")
    since: date | None = Field(None, description="A day, UTC.")
    until: date | None = Field(None, description="A day, UTC; that day too.")
    q: str = Field("", max_length=200, description="Anywhere in the row.")


@router.get("/audit", response=AuditRows)
def list_audit(request: HttpRequest, filters: Query[AuditFilter], place: Query[Place]) -> dict[str, Any]:
    """The audit trail, the newest first, for whoever may read it."""
    trail_views.check(request)
    return page(trail.rows(_asked(filters)), by=("id",), cursor=place.cursor, size=place.size)


@router.get("/audit/export")
def export_audit(request: HttpRequest, filters: Query[AuditFilter], form: trail.Form = "jsonl") -> Any:
    """The same as a file; that it was taken out is recorded."""
    trail_views.check(request)
    return trail_views.send(request, _asked(filters), form=form)


def _asked(filters: AuditFilter) -> trail.Asked:
    return trail.Asked(**filters.dict())


def _check(request: HttpRequest) -> None:
    if not may_see(request.user):
        raise Http404
