from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from ninja import Query, Router, Status

from agents.models import Agent
from agents.pages import page
from agents.schemas import Place as PlaceInList
from debates import controls, estimates, forks, history, launching, records, removal, schemas, sharing
from debates.errors import BadDebate
from debates.exports import export
from debates.models import Debate, Injection
from lobby import audit
from lobby.accounts.permissions import DEBATE, require

router = Router(tags=["debates"])

TYPICAL_QUESTION = "x" * 200  # to estimate by, while none is typed


class AuthenticatedRequest(HttpRequest):
    user: User


@router.get("/debates", response=schemas.Debates)
def list_debates(
    request: AuthenticatedRequest, filters: Query[schemas.DebateFilter], place: Query[PlaceInList]
) -> dict[str, Any]:
    """Yours, the newest first."""
    rows = filters.filter(Debate.objects.visible_to(request.user))
    return page(rows, by=("created_at", "id"), cursor=place.cursor, size=place.size)


@router.post("/debates", response={201: schemas.Debate})
def start_debate(request: AuthenticatedRequest, start: schemas.DebateStart) -> Status[Debate]:
    """Begin; from now on it goes its way, live on the topic `debate:<id>`."""
    require(request.user, DEBATE)
    return Status(201, launching.start(owner=request.user, key=start.key, **_asked(start)))


@router.get("/debates/protocols", response=schemas.Choices)
def list_protocols(request: AuthenticatedRequest) -> schemas.Choices:
    """What a debate is chosen from, in words: protocols with their suggested panels, rules, beliefs and roles."""
    return schemas.choices()


@router.post("/debates/estimate", response=schemas.Estimate)
def estimate_debate(request: AuthenticatedRequest, plan: schemas.DebatePlan) -> estimates.Estimate:
    """What such a debate would take; nothing is begun. What could not be begun is refused as at the start."""
    require(request.user, DEBATE)
    asked = _asked(plan)
    asked["question"] = plan.question.strip() or TYPICAL_QUESTION
    return estimates.estimate(*launching.draft(owner=request.user, **asked))


@router.get("/debates/{id}", response=schemas.DebateInFull)
def get_debate(request: AuthenticatedRequest, id: UUID) -> Debate:
    """All that may be told: ballots of a round under way are nobody's business yet."""
    return get_object_or_404(Debate.objects.visible_to(request.user).with_course(), pk=id)


@router.delete("/debates/{id}", response={204: None})
def delete_debate(request: AuthenticatedRequest, id: UUID) -> Status[None]:
    """For good, with its runs; what is being said is cut off. Forks of it stay."""
    removal.remove(_debate(request, id), request=request)
    return Status(204, None)


@router.post("/debates/{id}/pause", response=schemas.Debate)
def pause(request: AuthenticatedRequest, id: UUID) -> Debate:
    """At the next barrier: what is being said is said to its end."""
    controls.pause(_debate(request, id))
    return _debate(request, id)


@router.post("/debates/{id}/resume", response=schemas.Debate)
def resume(request: AuthenticatedRequest, id: UUID) -> Debate:
    require(request.user, DEBATE)
    controls.resume(_debate(request, id))
    return _debate(request, id)


@router.post("/debates/{id}/stop", response=schemas.Debate)
def stop(request: AuthenticatedRequest, id: UUID) -> Debate:
    """End it now. What was said stays, and what the last whole round holds is the result."""
    debate = _debate(request, id)
    controls.stop(debate)
    audit.record("debate.stopped", request=request, subject=debate)
    return _debate(request, id)


@router.post("/debates/{id}/challenge", response=schemas.Debate)
def challenge(request: AuthenticatedRequest, id: UUID) -> Debate:
    """One more after the round under way; a debate that has ended goes on for it."""
    require(request.user, DEBATE)
    controls.challenge_again(_debate(request, id))
    return _debate(request, id)


@router.post("/debates/{id}/inject", response={201: schemas.Injection})
def inject(request: AuthenticatedRequest, id: UUID, asked: schemas.InjectionAsked) -> Status[Injection]:
    """Put evidence or a question before all seats, from the next speech on."""
    return Status(201, controls.inject(_debate(request, id), kind=asked.kind, text=asked.text))


@router.post("/debates/{id}/options", response=schemas.Debate)
def set_options(request: AuthenticatedRequest, id: UUID, options: schemas.NewOptions) -> Debate:
    """Of an open question, while it is paused before round 1. Then they are frozen."""
    controls.set_options(_debate(request, id), options.options)
    return _debate(request, id)


@router.post("/debates/{id}/fork", response={201: schemas.Debate})
def fork(request: AuthenticatedRequest, id: UUID, asked: schemas.Fork) -> Status[Debate]:
    """Another debate that shares the rounds up to `after`, with the same panel or another one."""
    require(request.user, DEBATE)
    panel = None if asked.panel is None else _places(asked.panel)
    return Status(201, forks.fork(_debate(request, id), after=asked.after, panel=panel, owner=request.user))


@router.post("/debates/{id}/settle", response=schemas.Debate)
def settle(request: AuthenticatedRequest, id: UUID, settlement: schemas.Settlement) -> Debate:
    """Say which option turned out to be right: it goes into the track records and the calibration of the models."""
    records.settle(_debate(request, id), option=settlement.option, request=request)
    return _debate(request, id)


@router.post("/debates/{id}/share", response=schemas.Share)
def share(request: AuthenticatedRequest, id: UUID) -> dict[str, str]:
    """A link by which anybody may read the debate; the same one for as long as it is shared."""
    key = sharing.share(_debate(request, id), request=request)
    return {"url": request.build_absolute_uri(reverse("shared-debate", args=[key]))}


@router.delete("/debates/{id}/share", response={204: None})
def revoke_share(request: AuthenticatedRequest, id: UUID) -> Status[None]:
    """The link leads nowhere from now on."""
    sharing.revoke(_debate(request, id), request=request)
    return Status(204, None)


@router.get("/debates/{id}/events", response=schemas.Events)
def list_events(request: AuthenticatedRequest, id: UUID, filters: Query[schemas.EventsFilter]) -> dict[str, Any]:
    """The course so far, from the rows: what was said on the topic, to be replayed."""
    return {"items": history.events_of(_debate(request, id), until=filters.until)}


@router.get("/debates/{id}/export")
def export_debate(request: AuthenticatedRequest, id: UUID, asked: Query[schemas.ExportForm]) -> HttpResponse:
    """A file: Markdown to read, or JSON with a `version`."""
    file = export(_debate(request, id), form=asked.format, request=request)
    headers = {"Content-Disposition": f'attachment; filename="{file.filename}"'}
    return HttpResponse(file.body, content_type=file.content_type, headers=headers)


def _debate(request: AuthenticatedRequest, id: UUID) -> Debate:
    return get_object_or_404(Debate.objects.visible_to(request.user).select_related("owner"), pk=id)


def _asked(plan: schemas.DebatePlan) -> Any:
    """As `launching.draft` takes it."""
    panel = None if plan.panel is None else _places(plan.panel)
    return {**plan.dict(exclude={"key", "panel"}), "panel": panel}


def _places(panel: Sequence[schemas.Place]) -> list[launching.Place]:
    agents = {agent.slug: agent for agent in Agent.objects.filter(slug__in={place.agent for place in panel})}
    if unknown := [place.agent for place in panel if place.agent not in agents]:
        raise BadDebate(f"There is no agent “{unknown[0]}”.")
    return [launching.Place(agents[place.agent], place.model) for place in panel]
