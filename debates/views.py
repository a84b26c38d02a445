"""Pages of debates and the fragments that keep them fresh; what people do goes through the REST API."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from agents.colours import stylesheet
from debates import choices, sharing, shown
from debates.models import Debate

LONGEST_ROUND = 3  # digits


@require_safe
@login_required
def debates(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "")[:200].strip() for name in ("status", "limit")}
    query = request.GET.get("q", "")[:200].strip()
    return render(request, "debates/list.html", shown.listed(request.user, query=query, **asked))


@require_safe
@login_required
def new_debate(request: HttpRequest) -> HttpResponse:
    question = request.GET.get("question", "")[:4000]
    return render(request, "debates/new.html", choices.launch(request.user) | {"question": question})


@require_safe
@login_required
def debate(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = _mine(request, pk)
    return render(
        request, "debates/stage.html", shown.stage(found) | choices.panel_of(found, request.user) | {"can_act": True}
    )


@require_safe
@login_required
def figures(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The parts of the stage besides its lanes; `?round=r`: as they were when that round was over."""
    about = shown.stage(_mine(request, pk), until=_round(request))
    return render(request, "debates/figures.html", about | {"can_act": True})


@require_safe
@login_required
def lanes(request: HttpRequest, pk: UUID) -> HttpResponse:
    return render(request, "debates/lanes.html", shown.stage(_mine(request, pk), until=_round(request)))


@require_safe
@login_required
def printed(request: HttpRequest, pk: UUID) -> HttpResponse:
    return render(request, "debates/print.html", shown.stage(_mine(request, pk)) | {"unfolded": True})


@require_safe
@login_required
@cache_control(private=True, max_age=3600)
def seats_css(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _colours(_mine(request, pk))


@require_safe
def shared(request: HttpRequest, key: str) -> HttpResponse:
    """For whoever has the link, until it is revoked."""
    answer = render(request, "debates/shared.html", shown.stage(_shared(key)) | {"unfolded": True})
    answer["Cache-Control"] = "private, no-store"
    answer["Referrer-Policy"] = "no-referrer"  # the address is the key
    return answer


@require_safe
def shared_css(_: HttpRequest, key: str) -> HttpResponse:
    return _colours(_shared(key))


def _mine(request: HttpRequest, pk: UUID) -> Debate:
    return get_object_or_404(Debate.objects.visible_to(request.user), pk=pk)


def _shared(key: str) -> Debate:
    found = sharing.shared(key)
    if found is None:
        raise Http404
    return found


def _round(request: HttpRequest) -> int | None:
    """−1: before the first was over."""
    asked = request.GET.get("round", "")
    if asked == "-1":
        return -1
    return int(asked) if asked.isdecimal() and len(asked) <= LONGEST_ROUND else None


def _colours(of: Debate) -> HttpResponse:
    """As they were when the debate began: an agent may have another colour by now."""
    colours = [(str(pk), colour) for pk, colour in of.seats.values_list("pk", "colour")]
    return HttpResponse(stylesheet("data-seat-colour", colours), content_type="text/css")
