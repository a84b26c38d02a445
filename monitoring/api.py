from typing import Any

from django.http import Http404, HttpRequest
from django.utils.timezone import now
from ninja import Field, Router, Schema

from monitoring import figures, history
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
def get_history(request: HttpRequest, span: history.Span = "24h") -> history.History:
    """What the charts show: a day in steps of five minutes, or a month in steps of two hours."""
    _check(request)
    return history.read(span)


def _check(request: HttpRequest) -> None:
    if not may_see(request.user):
        raise Http404
