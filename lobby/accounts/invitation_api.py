"""Letting people in, by the REST API: for staff that may invite. For others there is nothing here."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from ninja.errors import HttpError, ValidationError
from pydantic import Field

from lobby.accounts import invitations
from lobby.accounts.bearer import Session
from lobby.accounts.forms import InvitationForm
from lobby.accounts.models import Invitation

router = Router(tags=["account"], auth=Session())

SHOWN = 200


class InvitationShown(Schema):
    id: UUID
    email: Annotated[str, Field(description="Empty: for whoever has the link.")]
    groups: Annotated[list[str], Field(description="Whoever comes joins them.")]
    invited_by: str | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    used_by: str | None
    is_open: Annotated[bool, Field(description="It can still be used, once.")]


class Invitations(Schema):
    items: list[InvitationShown]
    sign_up: Annotated[str, Field(description="`closed`: nobody can make an account now, invited or not.")]


class NewInvitation(InvitationShown):
    link: Annotated[str, Field(description="Shown this once.")]
    is_mailed: Annotated[bool, Field(description="False though it was asked for: too many mails went there lately.")]


class InvitationAsked(Schema):
    email: Annotated[str, Field(max_length=254, description="Only that address may sign up; empty: anybody.")] = ""
    days: Annotated[int, Field(ge=1, le=90, description="How long it can be used.")] = 7
    groups: Annotated[list[str], Field(max_length=100, description="Names of groups that you may invite into.")] = []
    is_mailed: Annotated[bool, Field(description="Send the link there by mail.")] = False


@router.get("", response=Invitations)
def list_invitations(request: HttpRequest, is_open: bool | None = None) -> dict[str, Any]:
    """Those you made, or all for a superuser; of them, if you say so, those that can (not) be used: the newest 200."""
    _check(request)
    rows, usable = invitations.seen_by(request.user), invitations.usable().values("pk")
    if is_open is not None:
        rows = rows.filter(pk__in=usable) if is_open else rows.exclude(pk__in=usable)
    opened = set(usable.values_list("pk", flat=True))
    shown = [_shown(row, is_open=row.pk in opened) for row in rows.prefetch_related("groups")[:SHOWN]]
    return {"items": shown, "sign_up": settings.LOBBY_SIGNUP}


@router.post("", response={201: NewInvitation})
def make_invitation(request: HttpRequest, asked: InvitationAsked) -> Status[dict[str, Any]]:
    """The link is in this answer, or in the mail, and nowhere else."""
    _check(request)
    made = invitations.send(request, **_checked(request, asked))
    return Status(201, {**_shown(made.row, is_open=True), "link": made.link, "is_mailed": made.is_mailed})


@router.delete("/{id}", response={204: None})
def revoke_invitation(request: HttpRequest, id: UUID) -> Status[None]:
    """Take it back: the link opens nothing any more."""
    _check(request)
    if not invitations.revoke(get_object_or_404(invitations.seen_by(request.user), pk=id), request=request):
        raise HttpError(409, "This invitation was used, or it is over.")
    return Status(204, None)


def _check(request: HttpRequest) -> None:
    if not invitations.may_invite(request.user):
        raise Http404


def _checked(request: HttpRequest, asked: InvitationAsked) -> dict[str, Any]:
    """What the page would make of it: the same form looks at it."""
    known = {group.name: group.pk for group in invitations.groups_of(request.user)}
    if strange := [name for name in asked.groups if name not in known]:
        raise _invalid(groups=f"You may not invite into “{strange[0]}”.")
    if asked.is_mailed and not settings.MAIL:
        raise _invalid(is_mailed="No mail is sent from here: pass the link on yourself.")
    form = InvitationForm(request.user, data=asked.dict() | {"groups": [known[name] for name in asked.groups]})
    if not form.is_valid():
        raise _invalid(**{field: " ".join(map(str, errors)) for field, errors in form.errors.items()})
    return form.cleaned_data


def _invalid(**fields: str) -> ValidationError:
    """As what the schema forbids is said."""
    return ValidationError([{"loc": ("body", "asked", name), "msg": text.rstrip(".")} for name, text in fields.items()])


def _shown(row: Invitation, *, is_open: bool) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("id", "email", "created_at", "expires_at", "used_at")},
        "groups": sorted(group.name for group in row.groups.all()),
        "invited_by": row.invited_by and row.invited_by.get_username(),
        "used_by": row.used_by and row.used_by.get_username(),
        "is_open": is_open,
    }
