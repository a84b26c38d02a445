"""What must be provable later: who signed in, changed an agent, stopped a run, read another's transcript.

Any app may record; the rows are monitoring's (`AuditEvent`), named here late because imports go down, never up.
"""

from ipaddress import ip_address
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest


def record(
    action: str,
    *,
    request: HttpRequest | None = None,
    actor: Any = None,
    subject: Model | None = None,
    **detail: Any,
) -> None:
    """Add one row. `action` is `<noun>.<what happened>`; the actor is, if not given, the request's user.

    What was done with an API key says so: `key` is its prefix.
    """
    actor = actor or getattr(request, "user", None)
    named = actor is not None and actor.is_authenticated
    if key := getattr(getattr(request, "auth", None), "prefix", None):
        detail["key"] = key
    apps.get_model("monitoring", "AuditEvent").objects.create(
        action=action,
        actor_id=actor.pk if named else None,
        actor_name=actor.get_username() if named else "",
        subject_kind=subject._meta.label_lower if subject else "",
        subject_id=str(subject.pk) if subject else "",
        address=client_address(request) if request else None,
        detail=detail,
    )


def client_address(request: HttpRequest) -> str | None:
    """The address the request came from, None on a Unix socket.

    Behind a proxy the server puts the client's address here, if it was told to trust that proxy
    (docs/configuration.md); the header itself is never read: anybody can write it.
    """
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None
