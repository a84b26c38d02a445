"""A browser that has signed in to an account carries a signed cookie that says so (an OWASP device cookie).

It grants nothing but patience: guesses at the account from many other machines do not keep its owner out.
"""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from lobby.accounts.attempts import account_key

COOKIE = "lobby_device"
SALT = "lobby.accounts.devices"
MAX_AGE = timedelta(days=180)


def knows(request: HttpRequest, *, account: str) -> bool:
    said = request.get_signed_cookie(COOKIE, default="", salt=SALT, max_age=MAX_AGE)
    return said == account_key(account)


def remember(response: HttpResponseBase, *, account: str) -> None:
    response.set_signed_cookie(
        COOKIE,
        account_key(account),
        salt=SALT,
        max_age=int(MAX_AGE.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
