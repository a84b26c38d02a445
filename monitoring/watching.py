"""The pages of who watches over the installation: its alerts, and how well each part is."""

from dataclasses import asdict
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from lobby.findings import worst
from monitoring import alerts, condition
from monitoring.models import Alert
from monitoring.topics import may_see


@never_cache
@require_safe
@login_required
def open_alerts(request: HttpRequest) -> HttpResponse:
    """The fragment of the dashboard."""
    if not may_see(request.user):
        raise Http404
    return render(request, "monitoring/alerts.html")


@require_POST
@login_required
def acknowledge(request: HttpRequest, pk: UUID) -> HttpResponse:
    if not request.user.is_staff:
        raise Http404
    alerts.acknowledge(get_object_or_404(Alert.objects.open(), pk=pk), by=request.user, request=request)
    return redirect("dashboard")


@never_cache
@require_safe
@login_required
def deep(request: HttpRequest) -> HttpResponse:
    """How well each part is: a page, or JSON for programs that accept it. 200 whatever is found: it is a report."""
    if not may_see(request.user):
        raise Http404
    findings, now = condition.look(), timezone.now()
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        told = [asdict(finding) for finding in findings]
        return JsonResponse({"at": now, "state": worst(findings), "findings": told})
    return render(request, "monitoring/condition.html", {"findings": findings, "at": now})
