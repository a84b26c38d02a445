"""Secrets that have to be read again (a webhook's signing key): encrypted in the database, under LOBBY_SECRET_KEY.

A new secret key seals from then on; what the LOBBY_OLD_SECRET_KEYS sealed can still be opened, and `renew` seals it
anew, so that an old key can go.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class NotOurs(Exception):
    """None of the keys we have opens it."""

    def __init__(self) -> None:
        super().__init__(
            "This secret was sealed with a key that is gone (LOBBY_SECRET_KEY was changed): enter it anew."
        )


def seal(secret: str) -> str:
    return _keys().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises NotOurs."""
    from cryptography.fernet import InvalidToken  # noqa: PLC0415  (3 MB that most processes never need)

    try:
        return _keys().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise NotOurs from None


def renew(sealed: str) -> str:
    """The same secret under the present key. Raises NotOurs."""
    return seal(unseal(sealed))


def _keys() -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

    return MultiFernet([Fernet(_derive(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _derive(key: str) -> bytes:
    """Another use of the secret key than signing has to have another key (NIST SP 800-108, HMAC as the function)."""
    return urlsafe_b64encode(hmac.new(key.encode(), b"lobby.sealing", hashlib.sha256).digest())
