from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from agents import models, runs, schemas
from agents.pages import page
from lobby import audit

router = Router()

# What is read of a run: its prompt, which may be long, is told to nobody
LISTED = (
    *("id", "purpose", "subject", "topic", "model", "status", "attempt", "error_kind", "error", "queued_at"),
    *("started_at", "finished_at", "first_token_at", "prompt_tokens", "output_tokens", "tokens_per_second"),
    *("context_length", "done_reason"),
)
WITH_TEXT = (*LISTED, "text", "thinking")


@router.get("/agents", response=schemas.Agents, tags=["agents"])
def list_agents(request: HttpRequest) -> dict[str, Any]:
    return {"items": list(models.Agent.objects.visible_to(request.user))}


@router.get("/agents/{slug}", response=schemas.Agent, tags=["agents"])
def get_agent(request: HttpRequest, slug: str) -> models.Agent:
    return get_object_or_404(models.Agent.objects.visible_to(request.user), slug=slug)


@router.get("/runs", response=schemas.Runs, tags=["runs"])
def list_runs(request: HttpRequest, filters: Query[schemas.RunFilter], place: Query[schemas.Place]) -> dict[str, Any]:
    """Your runs, the newest first."""
    rows = filters.filter(_mine(request, LISTED))
    return page(rows, by=("queued_at", "id"), cursor=place.cursor, size=place.size)


@router.get("/runs/{id}", response=schemas.RunWithText, tags=["runs"])
def get_run(request: HttpRequest, id: UUID) -> models.Run:
    return get_object_or_404(_mine(request, WITH_TEXT), pk=id)


@router.post("/runs/{id}/cancel", response=schemas.RunWithText, tags=["runs"])
def cancel_run(request: HttpRequest, id: UUID) -> models.Run:
    """Stop a run, waiting or running. One that is over stays as it is; the answer is the run as it now is."""
    run = get_object_or_404(_mine(request, LISTED), pk=id)
    if runs.cancel(run):
        audit.record("run.cancelled", request=request, subject=run)
    return _mine(request, WITH_TEXT).get(pk=id)


def _mine(request: HttpRequest, fields: Sequence[str]) -> QuerySet[models.Run]:
    return models.Run.objects.visible_to(request.user).with_names().only(*fields)
