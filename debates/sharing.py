"""A link by which anybody may read a debate, until its owner takes it back."""

import secrets

from django.db import transaction
from django.http import HttpRequest

from debates.models import Debate
from lobby import audit

KEY_BYTES = 32  # 43 characters


def share(debate: Debate, *, request: HttpRequest | None = None) -> str:
    """The key of its link; the same as long as it is shared."""
    with transaction.atomic():
        held = Debate.objects.select_for_update().get(pk=debate.pk)
        if held.share_key is None:
            held.share_key = secrets.token_urlsafe(KEY_BYTES)
            held.save(update_fields=["share_key"])
            _record("debate.shared", held, request)
    debate.share_key = held.share_key
    return held.share_key


def revoke(debate: Debate, *, request: HttpRequest | None = None) -> None:
    """The link leads nowhere from now on; the next one will be another."""
    with transaction.atomic():
        held = Debate.objects.select_for_update().get(pk=debate.pk)
        if held.share_key is not None:
            held.share_key = None
            held.save(update_fields=["share_key"])
            _record("debate.unshared", held, request)
    debate.share_key = None


def shared(key: str) -> Debate | None:
    """Found by its unique index: 256 random bits cannot be felt for, however long a look takes."""
    if not key or "\0" in key:
        return None
    return Debate.objects.filter(share_key=key).first()


def _record(action: str, debate: Debate, request: HttpRequest | None) -> None:
    audit.record(action, request=request, actor=None if request else debate.owner, subject=debate)
