"""One's own account by the REST API."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from lobby.accounts import archives, keys, models
from lobby.accounts.bearer import Key, Session
from lobby.accounts.standing import standings

router = Router(tags=["account"], auth=Session())  # of the browser alone: a key makes no keys

Scope = Literal["read", "chat", "debate", "admin"]


class AuthenticatedRequest(HttpRequest):
    user: User


class KeyShown(Schema):
    id: UUID
    name: str
    prefix: Annotated[str, Field(description="A key begins with `lob_` and this.")]
    scopes: list[Scope]
    created_at: datetime
    expires_at: Annotated[datetime | None, Field(description="None: never.")]
    last_used_at: datetime | None
    revoked_at: datetime | None


class Keys(Schema):
    items: list[KeyShown]


class NewKey(KeyShown):
    key: Annotated[str, Field(description="Shown this once.")]


class Share(Schema):
    limit: int
    used: int
    remaining: int


class Limit(Schema):
    """One kind of limit."""

    kind: str
    label: str
    unit: Annotated[str, Field(description="bytes; empty: what the label counts.")]
    limit: Annotated[int | None, Field(description="None: no limit.")]
    used: Annotated[int | None, Field(description="None: it is the size of one thing.")]
    remaining: Annotated[int | None, Field(description="What your limit, and that of all users together, leave.")]
    percent: int | None
    resets_at: Annotated[datetime | None, Field(description="When some of it is free again by itself.")]
    everybody: Annotated[Share | None, Field(description="Of all users together, where there is such a limit.")]


class Limits(Schema):
    items: list[Limit]


class KeyAsked(Schema):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    days: Annotated[int | None, Field(ge=1, le=keys.LONGEST_DAYS, description="Until it expires; null: never.")] = 365


class Rotation(Schema):
    overlap_hours: Annotated[int, Field(ge=0, le=24 * 30, description="How long the old key works on.")] = 24


@router.get("/keys", response=Keys)
def list_keys(request: AuthenticatedRequest) -> dict[str, Any]:
    """Yours, the newest first; revoked ones too."""
    return {"items": list(request.user.api_keys.all())}


@router.post("/keys", response={201: NewKey})
def make_key(request: AuthenticatedRequest, asked: KeyAsked) -> Status[dict[str, Any]]:
    """The key itself is in this answer and nowhere else."""
    try:
        made = keys.make(request.user, **asked.dict(), request=request)
    except keys.BadKeyRequest as error:
        raise HttpError(422, str(error)) from error
    return Status(201, _shown(*made))


@router.post("/keys/{id}/rotate", response={201: NewKey})
def rotate_key(request: AuthenticatedRequest, id: UUID, rotation: Rotation) -> Status[dict[str, Any]]:
    """Another key for the same purpose; the old one works on for a while, so that programs can be changed over."""
    try:
        made = keys.rotate(_mine(request, id), overlap=timedelta(hours=rotation.overlap_hours), request=request)
    except keys.BadKeyRequest as error:
        raise HttpError(409, str(error)) from error
    return Status(201, _shown(*made))


@router.delete("/keys/{id}", response={204: None})
def revoke_key(request: AuthenticatedRequest, id: UUID) -> Status[None]:
    """From now on it opens nothing."""
    keys.revoke(_mine(request, id), request=request)
    return Status(204, None)


@router.get("/export", auth=[Key(), Session()])
def export_my_data(request: AuthenticatedRequest) -> Any:
    """All that is kept about you, as a ZIP archive of JSON and Markdown."""
    return archives.send(request, request.user)


@router.get("/limits", response=Limits, auth=[Key(), Session()])
def list_my_limits(request: AuthenticatedRequest) -> dict[str, Any]:
    """What you may use, and what of it you have used."""
    return {"items": standings(request.user.pk)}


def _mine(request: AuthenticatedRequest, id: UUID) -> models.ApiKey:
    return get_object_or_404(models.ApiKey, pk=id, user=request.user)


def _shown(row: models.ApiKey, key: str) -> dict[str, Any]:
    return {**KeyShown.from_orm(row).dict(), "key": key}
