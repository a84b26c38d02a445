"""The one way in: whatever proves who somebody is, the stages of lobby/accounts/stages.py come before the session."""

from typing import Any

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import EmailAddress, Login
from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse


def enter(request: HttpRequest, user: Any, *, by: str, target: str = "") -> HttpResponse:
    """`by` says what proved it: "password" or "link". `target` is where to go; it must have been checked."""
    record_authentication(request, user, by)
    verification = "mandatory" if by == "password" and must_confirm_email(user) else "none"
    login = Login(user=user, email_verification=verification, redirect_url=target or None)
    response: HttpResponse = perform_login(request, login)
    return response


def must_confirm_email(user: Any) -> bool:
    """Who signed up where mail is sent proves that the address is his before he comes in for the first time."""
    if not settings.MAIL or user.last_login is not None:
        return False
    verified = list(EmailAddress.objects.filter(user=user).values_list("verified", flat=True))
    return bool(verified) and not any(verified)


def is_taken(email: str) -> bool:
    users = get_user_model().objects
    return users.filter(email__iexact=email).exists() or users.filter(emailaddress__email=email.lower()).exists()
