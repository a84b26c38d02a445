"""How many requests there are and how long they take, under the names that django-prometheus gave them.

Its own middleware counts each request in some fifteen ways, which every question pays for.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

Next = Callable[[HttpRequest], HttpResponse]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter("django_http_requests_before_middlewares_total", "Requests.")
RESPONSES = Counter(
    "django_http_responses_total_by_status_view_method",
    "Responses by status, view and method.",
    ["status", "view", "method"],
)
LATENCY = Histogram(
    "django_http_requests_latency_seconds_by_view_method",
    "Seconds from a request to its response, middleware included, by view and method.",
    ["view", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, float("inf")),
)


def measure(get_response: Next) -> Next:
    """Middleware, the outermost."""

    def middleware(request: HttpRequest) -> HttpResponse:
        REQUESTS.inc()
        began = time.perf_counter()
        response = get_response(request)
        seconds = time.perf_counter() - began
        view = request.resolver_match.view_name if request.resolver_match else "<unnamed view>"
        method = request.method if request.method in METHODS else "<invalid method>"
        RESPONSES.labels(str(response.status_code), view, method).inc()
        LATENCY.labels(view, method).observe(seconds)
        return response

    return middleware


def count_requests() -> float:
    """How many this process has had."""
    samples = (sample for metric in REQUESTS.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))
