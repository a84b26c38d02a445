"""Coming in by an OpenID Connect provider. The exchange is django-allauth's; who may come in is ours.

Loaded where it is used alone: it brings along all that speaks with the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from requests import RequestException

from lobby import audit
from lobby.accounts import entrance, invitations, mails
from lobby.accounts.refusals import refused

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin

log = structlog.get_logger()

PROVIDER = "sso"
INVITATION = "invitation"  # in the session: the token by which somebody came
# What wrong answers lead to; the last is a page of django-allauth that we do not have (an address was taken just now).
BROKEN = (OAuth2Error, RequestException, KeyError, TypeError, ValueError, AttributeError, NoReverseMatch)


class Provider(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """Stricter than it has to be: the signature counts even where the token came straight from the provider, as the
    way there may be plain HTTP in a house's own network."""

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **about: Any) -> SocialLogin:
        if "id_token" not in about["response"]:
            raise OAuth2Error("no ID token")
        login: SocialLogin = super().complete_login(request, app, token, **about)
        said = login.account.extra_data
        if said["userinfo"]["sub"] != said["id_token"]["sub"]:  # OpenID Connect Core 5.3.2
            raise OAuth2Error("the ID token is somebody else's")
        return login

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return mails.absolute(request, reverse("single-back"))

    def _decode_id_token(self, app: Any, id_token: str) -> dict[str, Any]:
        self.did_fetch_access_token = False
        claims: dict[str, Any] = super()._decode_id_token(app, id_token)
        return claims


def leave(request: HttpRequest, *, process: str, target: str = "") -> HttpResponse:
    """To the provider. `process` is "login" or "connect"; `target` is where to go afterwards."""
    provider = get_adapter(request).get_provider(request, PROVIDER)
    provider.oauth2_adapter_class = Provider
    try:
        response: HttpResponse = provider.redirect(request, process, next_url=target or None)
    except BROKEN as error:
        return refuse(request, exception=error)
    return response


def come_back(request: HttpRequest) -> HttpResponse:
    """From the provider, with a code for it, or with an error."""
    try:
        response: HttpResponse = OAuth2CallbackView.adapter_view(Provider(request, PROVIDER))(request)
    except (*BROKEN, IntegrityError) as error:
        return refuse(request, exception=error)
    return response


def refuse(request: HttpRequest, *, exception: Any = None, error: Any = None, **_: Any) -> HttpResponse:
    log.warning("single_sign_on.failed", error=type(exception).__name__ if exception else str(error))
    name = settings.OIDC_NAME
    why = f"Signing in with {name} did not work. Try again; if it stays so, tell an admin."
    return refused(request, why=why, status=502 if exception else 403)


def why_not(request: HttpRequest, login: SocialLogin) -> str:
    """Why whom the provider names may not come in, or be connected; empty if he may."""
    name, is_known = settings.OIDC_NAME, bool(login.is_existing)
    if login.state.get("process") == "connect":
        is_anothers = is_known and login.user != request.user
        return f"That account at {name} belongs to somebody else here." if is_anothers else ""
    if is_known:
        take_groups(login.user, login)
        return ""
    then = f"then connect it with {name} on its security page."
    if not may_sign_up(request, login):
        return f"You have no account here yet: ask an admin for one, {then}"
    if any(entrance.is_taken(address.email) for address in login.email_addresses):
        return f"There is an account with your e-mail address: sign in to it, {then}"
    return ""


def may_sign_up(request: HttpRequest, login: SocialLogin) -> bool:
    if settings.OIDC_SIGNUP or settings.LOBBY_SIGNUP == "open":
        return True
    invitation = invitations.find(request.session.get(INVITATION, ""))
    if settings.LOBBY_SIGNUP != "invited" or invitation is None:
        return False
    verified = {address.email for address in login.email_addresses if address.verified}
    return not invitation.email or invitation.email.lower() in verified


def make_account(request: HttpRequest, login: SocialLogin, *, save: Any) -> Any:
    """For who comes for the first time. Raises InvitationOver, and then nothing is made."""
    with transaction.atomic():
        user = save()
        if (token := request.session.pop(INVITATION, "")) and settings.LOBBY_SIGNUP != "closed":
            invitations.redeem(token, user=user, email=user.email)
        take_groups(user, login)
        audit.record("account.signed_up", request=request, actor=user, by="single sign-on")
    return user


def take_groups(user: Any, login: SocialLogin) -> None:
    """Where the provider says so: he is in those groups of ours that it names, and in no other."""
    names = login.account.extra_data.get("userinfo", {}).get(settings.OIDC_GROUPS) if settings.OIDC_GROUPS else None
    if isinstance(names, list):
        user.groups.set(Group.objects.filter(name__in=[name for name in names if isinstance(name, str)]))


def connected(request: HttpRequest, user: Any) -> None:
    audit.record("single_sign_on.connected", request=request, actor=user)
    messages.success(request, f"You can sign in with {settings.OIDC_NAME} from now on.")
    mails.tell(user, f"It was connected with {settings.OIDC_NAME}.")


def disconnect(user: Any) -> bool:
    """False if he would have no way in left, or was not connected."""
    return user.has_usable_password() and bool(SocialAccount.objects.filter(user=user).delete()[0])
