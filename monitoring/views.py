from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from lobby.accounts.permissions import SEE_METRICS, may
from lobby.audit import client_address
from monitoring import board, topics
from monitoring.charts import CHARTS
from monitoring.metrics import expose

ALERTS = ["monitoring/alerts.html", "monitoring/no_alerts.html"]  # the first that there is


@never_cache
@require_safe
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    if not topics.may_see(request.user):
        raise Http404
    span = "30d" if request.GET.get("span") == "30d" else "24h"
    about = {"board": board.look(), "charts": CHARTS, "span": span, "topic": topics.TOPIC, "alerts": ALERTS}
    return render(request, "monitoring/dashboard.html", about)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format, for who has LOBBY_METRICS_TOKEN, asks from LOBBY_METRICS_NETWORKS or may see figures."""
    if not (_has_token(request) or _is_near(request) or may(request.user, SEE_METRICS)):
        raise Http404
    return HttpResponse(expose(), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    return bool(token) and constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")


def _is_near(request: HttpRequest) -> bool:
    if (told := client_address(request)) is None:
        return False
    address = ip_address(told)
    address = getattr(address, "ipv4_mapped", None) or address  # as a socket for both kinds tells it
    return any(address in network for network in settings.METRICS_NETWORKS)
