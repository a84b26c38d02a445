"""API keys: how a program acts in the name of a user, within the scopes that the key was given.

A key is `lob_`, 8 characters by which its row is found, 32 random bytes and a checksum, all in base 62. Kept is an
HMAC-SHA256 of it with a pepper, which is derived from the secret key of the installation and stands in no table: who
reads the database can neither use the keys nor try guesses on them.
"""

import re
import secrets
import string
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Least, Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from lobby import audit
from lobby.accounts import sessions
from lobby.accounts.models import ApiKey

SALT = "lobby.accounts.keys"
ALPHABET = string.digits + string.ascii_letters
PREFIX, SECRET, CHECKSUM = 8, 43, 6  # characters; 62^43 > 2^256, 62^6 > 2^32
FORM = re.compile(rf"lob_([0-9A-Za-z]{{{PREFIX}}})[0-9A-Za-z]{{{SECRET + CHECKSUM}}}")

SCOPES = {
    "read": "read what is yours: conversations, debates, runs, live events",
    "chat": "ask agents; change, stop and delete conversations",
    "debate": "start, steer, share and delete debates",
    "admin": "see and do what you may as an admin, such as the figures of the installation",
}
MOST_KEYS = 25  # that work, of one user
LONGEST_DAYS = 3650
OVERLAP = timedelta(hours=24)
LOOK_AGAIN = timedelta(minutes=1)  # a key's last use is written at most this often


class BadKeyRequest(Exception):
    """A key that can't be made as asked, in words."""


def make(
    user: Any, *, name: str, scopes: Iterable[str], days: int | None = 365, request: HttpRequest | None = None
) -> tuple[ApiKey, str]:
    """The row, and the key itself: nobody sees that again. `days` until it expires; None: never.

    Raises BadKeyRequest.
    """
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise BadKeyRequest(f"A key lasts from 1 to {LONGEST_DAYS:,} days, or for ever.")
    row = ApiKey(user=user, name=_name(name), scopes=_scopes(scopes))
    row.expires_at = None if days is None else timezone.now() + timedelta(days=days)
    with transaction.atomic():
        if working(user).count() >= MOST_KEYS:
            raise BadKeyRequest(f"You have {MOST_KEYS} keys, the limit. Revoke one that is not used any more.")
        key = _save(row)
        audit.record("apikey.made", request=request, actor=user, subject=row, name=row.name, scopes=row.scopes)
    return row, key


def rotate(row: ApiKey, *, overlap: timedelta = OVERLAP, request: HttpRequest | None = None) -> tuple[ApiKey, str]:
    """A new key for the same purpose, for as long; the old one works for `overlap` more, or until it would expire.

    Raises BadKeyRequest.
    """
    if not works(row.pk):
        raise BadKeyRequest("This key does not work any more. Make a new one.")
    new = ApiKey(user=row.user, name=row.name, scopes=row.scopes)
    new.expires_at = row.expires_at and timezone.now() + (row.expires_at - row.created_at)
    with transaction.atomic():
        key = _save(new)
        ApiKey.objects.filter(pk=row.pk).update(expires_at=Least("expires_at", Now() + overlap))
        audit.record("apikey.rotated", request=request, actor=row.user, subject=row, by=str(new.pk))
    if not overlap:
        sessions.end([row.user_id])
    return new, key


def revoke(row: ApiKey, *, request: HttpRequest | None = None) -> bool:
    """From now on it opens nothing, and event streams it opened end. False if it was revoked before."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=Now()):
            return False
        actor = None if request else row.user
        audit.record("apikey.revoked", request=request, actor=actor, subject=row, name=row.name)
        sessions.end([row.user_id])
    return True


def find(key: str) -> ApiKey | None:
    """The row of a key that works, its user read along."""
    said = FORM.fullmatch(key)
    if said is None or key[-CHECKSUM:] != _checksum(key[:-CHECKSUM]):
        return None
    row = ApiKey.objects.filter(_works(), prefix=said[1]).select_related("user").first()
    return row if row and _is_of(row, key) else None


def works(id: UUID) -> bool:
    return ApiKey.objects.filter(_works(), pk=id).exists()


def working(user: Any) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(_works(), user=user)


def note_use(row: ApiKey) -> None:
    """By the database's clock, and of many requests at once by one."""
    if row.last_used_at and row.last_used_at > timezone.now() - LOOK_AGAIN:
        return
    unused = Q(last_used_at=None) | Q(last_used_at__lte=Now() - LOOK_AGAIN)
    ApiKey.objects.filter(unused, pk=row.pk).update(last_used_at=Now())


def _works() -> Q:
    return Q(user__is_active=True, revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))


def _name(name: str) -> str:
    clean = " ".join(name.split())
    longest = ApiKey._meta.get_field("name").max_length
    if not clean or len(clean) > (longest or 0):
        raise BadKeyRequest(f"Name the key by what it is for, in up to {longest} characters.")
    return clean


def _scopes(scopes: Iterable[str]) -> list[str]:
    wanted = set(scopes)
    if not wanted or wanted - SCOPES.keys():
        raise BadKeyRequest(f"Choose what the key may do: one or more of {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in wanted]


def _save(row: ApiKey) -> str:
    key = _new()
    row.prefix, row.digest = key[4 : 4 + PREFIX], _digest(key)
    row.save(force_insert=True)
    row.refresh_from_db()
    return key


def _new() -> str:
    start = "".join(secrets.choice(ALPHABET) for _ in range(PREFIX))
    body = f"lob_{start}{_base62(int.from_bytes(secrets.token_bytes(32)), SECRET)}"
    return body + _checksum(body)


def _checksum(body: str) -> str:
    """Tells a mistyped key from a wrong one without the database. It is no secret."""
    return _base62(crc32(body.encode()), CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def _digest(key: str, secret: str | None = None) -> str:
    return salted_hmac(SALT, key, secret=secret or settings.SECRET_KEY, algorithm="sha256").hexdigest()


def _is_of(row: ApiKey, key: str) -> bool:
    """With the present secret key, or a former one; then what is kept is made anew with the present."""
    if constant_time_compare(row.digest, _digest(key)):
        return True
    if not any(constant_time_compare(row.digest, _digest(key, old)) for old in settings.SECRET_KEY_FALLBACKS):
        return False
    ApiKey.objects.filter(pk=row.pk).update(digest=_digest(key))
    return True
