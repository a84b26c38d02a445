"""Where somebody is signed in, by the REST API."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from lobby.accounts import browsers, sessions
from lobby.accounts.bearer import Session
from lobby.accounts.models import UserSession

router = Router(tags=["account"], auth=Session())


class OpenSession(Schema):
    """A browser in which you are signed in."""

    id: UUID
    browser: Annotated[str, Field(description="As far as it tells: `Firefox on Linux`.")]
    address: Annotated[str | None, Field(description="It was last seen from there.")]
    began_at: datetime
    seen_at: Annotated[datetime, Field(description="Right to five minutes.")]
    is_current: Annotated[bool, Field(description="It is the one that asks.")]


class OpenSessions(Schema):
    items: list[OpenSession]


class Ended(Schema):
    ended: Annotated[int, Field(description="In how many browsers you were signed out.")]


@router.get("", response=OpenSessions)
def list_sessions(request: HttpRequest) -> dict[str, Any]:
    """The one used last first."""
    return {"items": [_shown(request, row) for row in browsers.of(request.user)]}


@router.post("/end-others", response=Ended)
def end_other_sessions(request: HttpRequest) -> dict[str, int]:
    """Sign out everywhere but here; sockets and event streams there end too."""
    return {"ended": sessions.end_others(request)}


@router.delete("/{id}", response={204: None})
def end_session(request: HttpRequest, id: UUID) -> Status[None]:
    """Sign out in that browser. Not in this one: its page does that."""
    row = browsers.of(request.user).filter(pk=id).first()
    if row and row.key == request.session.session_key:
        raise HttpError(409, "This is the session that you ask from: sign out on the page.")
    if not sessions.end_one(request, pk=id):
        raise Http404
    return Status(204, None)


def _shown(request: HttpRequest, row: UserSession) -> dict[str, Any]:
    return {
        "id": row.pk,
        "browser": browsers.describe(row.browser),
        "address": row.address,
        "began_at": row.began_at,
        "seen_at": row.seen_at,
        "is_current": row.key == request.session.session_key,
    }
