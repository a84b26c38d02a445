"""Codes of an authenticator app, and ten to keep for the day it is lost.

The rows and the arithmetic are django-allauth's (RFC 6238). Ours is that a code counts once over all processes: the
step of the last one is kept in the row and only moves on, by conditional UPDATE.
"""

import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from lobby import sealing

log = structlog.get_logger()

PENDING = "second_factor_secret"  # in the session, sealed, until the first code proves that the app has it
Type = Authenticator.Type

LOOK_AGAIN = 60.0  # seconds that a process takes it for granted that somebody has one
REMEMBERED = 10_000  # people

_have: dict[int, float] = {}  # by the user's key: until when, monotonic


def is_on(user: Any) -> bool:
    return bool(Authenticator.objects.filter(user=user, type=Type.TOTP).exists())


def is_required(user: Any) -> bool:
    return settings.REQUIRE_MFA == "everybody" or (settings.REQUIRE_MFA == "staff" and bool(user.is_staff))


def lacks(user: Any) -> bool:
    """He must have one and has none. Of who has one the database is asked once a minute."""
    if settings.REQUIRE_MFA == "no" or not user.is_authenticated or not is_required(user):
        return False
    now = time.monotonic()
    if _have.get(user.pk, now) > now:
        return False
    if not is_on(user):
        return True
    if len(_have) >= REMEMBERED:
        _have.clear()
    _have[user.pk] = now + LOOK_AGAIN
    return False


def forget() -> None:
    """Ask anew who has one."""
    _have.clear()


def propose(session: MutableMapping[str, Any]) -> str:
    """A new secret (base32), which waits in the session."""
    secret: str = generate_totp_secret()
    session[PENDING] = sealing.seal(secret)
    return secret


def proposed(session: MutableMapping[str, Any]) -> str | None:
    try:
        return sealing.unseal(session[PENDING]) if PENDING in session else None
    except sealing.NotOurs:
        return None


def picture(user: Any, secret: str) -> str:
    """The QR code for the app: an SVG without style or script."""
    adapter = get_adapter()
    svg: str = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return svg[svg.index("<svg") :]


def turn_on(user: Any, session: MutableMapping[str, Any], *, code: str) -> list[str] | None:
    """The recovery codes, to be shown once; None if the code does not fit the proposed secret, or it is on already."""
    secret = proposed(session)
    step = _step_of(secret, code) if secret else None
    if secret is None or step is None:
        return None
    try:
        with transaction.atomic():
            row = TOTP.activate(user, secret).instance
            Authenticator.objects.filter(pk=row.pk).update(data=row.data | {"step": step})
            codes = renew_recovery_codes(user)
    except IntegrityError:  # turned on in another tab meanwhile
        return None
    del session[PENDING]
    return codes


def renew_recovery_codes(user: Any) -> list[str]:
    """Ten new ones; those before are worth nothing any more."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).delete()
        codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return codes


def recovery_codes_left(user: Any) -> int:
    row = Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).first()
    try:
        return len(RecoveryCodes(row).get_unused_codes()) if row else 0
    except sealing.NotOurs:
        return 0


def accept(user: Any, *, code: str) -> Authenticator | None:
    """What the code is of, if it is right and was not used before; it is used now."""
    rows = {row.type: row for row in Authenticator.objects.filter(user=user)}
    for kind, use in ((Type.TOTP, _use), (Type.RECOVERY_CODES, _spend)):
        try:
            if kind in rows and use(rows[kind], code):
                return rows[kind]
        except sealing.NotOurs as error:  # it will never fit again: an admin has to take it away
            log.error("second_factor.unreadable", user=user.pk, error=str(error))  # noqa: TRY400
    return None


def reset(user: Any) -> bool:
    """Take it away, for somebody who lost his telephone. False if there was none."""
    _have.pop(user.pk, None)
    return bool(Authenticator.objects.filter(user=user).delete()[0])


def _use(app: Authenticator, code: str) -> bool:
    """Sealed anew with the present secret key on the way."""
    secret = sealing.unseal(app.data["secret"])
    step = _step_of(secret, code)
    if step is None:
        return False
    unused = Authenticator.objects.filter(pk=app.pk).filter(Q(data__step__isnull=True) | Q(data__step__lt=step))
    data = app.data | {"step": step, "secret": sealing.seal(secret)}
    return bool(unused.update(data=data, last_used_at=timezone.now()) == 1)


def _spend(spare: Authenticator, code: str) -> bool:
    if not RecoveryCodes(spare).validate_code(code):
        return False
    Authenticator.objects.filter(pk=spare.pk).update(last_used_at=timezone.now())
    return True


def _step_of(secret: str, code: str) -> int | None:
    """The time step (30 s) whose code this is, among those a clock may show now."""
    for step in yield_hotp_counters_from_time():
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, step))):
            return int(step)
    return None
