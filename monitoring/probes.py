"""The health pages for machines. Answered before anything else looks at a request: orchestrators ask by plain HTTP, at
whatever address they know, and need no session."""

from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from monitoring.health import Found, ready

Next = Callable[[HttpRequest], HttpResponse]


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The process answers: nothing else is asked, so that what is missing elsewhere restarts nobody."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readiness(request: HttpRequest) -> HttpResponse:
    """200 if questions can be answered, else 503; what is missing, and no more, is for everybody to see."""
    found = ready()
    told = {name: {"ok": each.is_well, "ms": each.ms, "reason": each.reason} for name, each in found.items()}
    return _answer(found, told)


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """The same in short: which parts are well."""
    found = ready()
    return _answer(found, {name: each.is_well for name, each in found.items()})


def _answer(found: Mapping[str, Found], told: Mapping[str, object]) -> HttpResponse:
    is_well = all(each.is_well for each in found.values())
    answer = JsonResponse({"status": "ok" if is_well else "failing", "checks": told}, status=200 if is_well else 503)
    answer._has_been_logged = True  # type: ignore[attr-defined]  # asked every few seconds: an error each time is noise
    return answer


PROBES = {"/health": health, "/health/live": live, "/health/ready": readiness}


def answer(get_response: Next) -> Next:
    """Middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info)
        return probe(request) if probe else get_response(request)

    return middleware
