"""How many requests this web process has had and how long they took, under the names that the field gives them.

Two observations a request: what libraries count (some fifteen ways) every question would pay for.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from monitoring import multiprocess

multiprocess.join()

from prometheus_client import Counter, Histogram, disable_created_metrics  # noqa: E402  (see multiprocess)

Next = Callable[[HttpRequest], HttpResponse]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

disable_created_metrics()  # type: ignore[no-untyped-call]
REQUESTS = Counter("http_requests_total", "Requests answered by this machine.", ["view", "method", "status"])
SECONDS = Histogram(
    "http_request_duration_seconds",
    "Seconds from a request to its response, middleware included, on this machine.",
    ["view", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


def measure(get_response: Next) -> Next:
    """Middleware, the outermost."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        seconds = time.perf_counter() - began
        view = request.resolver_match.view_name if request.resolver_match else "none"
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(view, method, str(response.status_code)).inc()
        SECONDS.labels(view, method).observe(seconds)
        return response

    return middleware


def count_requests() -> float:
    """How many this process has had."""
    return sum(sample.value for metric in REQUESTS.collect() for sample in metric.samples)


def count_request_seconds() -> float:
    """How long they took, all together."""
    found = (sample for metric in SECONDS.collect() for sample in metric.samples)
    return sum(sample.value for sample in found if sample.name.endswith("_sum"))
