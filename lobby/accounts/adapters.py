"""What django-allauth asks of us: our mails, pages, stages of a sign-in and rules of who may come in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from lobby import sealing
from lobby.accounts import attempts, devices, mails
from lobby.accounts.invitations import InvitationOver
from lobby.accounts.refusals import refused
from lobby.correlation import with_reference

if TYPE_CHECKING:
    from allauth.account.models import EmailAddress
    from allauth.socialaccount.models import SocialLogin

BACKEND = "django.contrib.auth.backends.ModelBackend"
TEMPLATES = {
    "account/email/password_reset_key": "reset",
    "account/email/email_confirmation": "confirm",
    "account/email/email_confirmation_signup": "confirm",
}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def get_login_stages(self) -> list[str]:
        """After the password, the provider's word or the one-time link, and before the session."""
        return [
            "allauth.account.stages.EmailVerificationStage",
            "lobby.accounts.stages.Code",
            "lobby.accounts.stages.SetUp",
        ]

    def login(self, request: HttpRequest, user: Any) -> None:
        login(request, user, backend=BACKEND)

    def post_login(self, request: HttpRequest, user: Any, **about: Any) -> HttpResponse:
        """Whichever way somebody came in, his browser is known from now on."""
        response: HttpResponse = super().post_login(request, user, **about)
        devices.remember(response, account=user.get_username())
        return response

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        messages.error(request, with_reference("This account is switched off; ask an admin."))
        return redirect("sign-in")

    def respond_email_verification_sent(self, request: HttpRequest, user: Any) -> HttpResponse:
        return redirect("look-into-mail")

    def should_send_confirmation_mail(self, request: HttpRequest, email_address: EmailAddress, signup: bool) -> bool:
        return bool(settings.MAIL) and attempts.may_mail(email_address.email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        if name := TEMPLATES.get(template_prefix):
            mails.send(name, to=email, **context)

    def get_reset_password_from_key_url(self, key: str) -> str:
        return mails.absolute(self.request, reverse("new-password", args=[key]))

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return mails.absolute(request, reverse("confirm-email", args=[emailconfirmation.key]))

    def add_message(self, *args: Any, **options: Any) -> None:
        """Our pages say themselves what was done."""

    def send_notification_mail(self, *args: Any, **options: Any) -> None:
        """Ours are in lobby/accounts/mails.py."""


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return sealing.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Agent Lobby"

    def get_totp_label(self, user: Any) -> str:
        return str(user.get_username())


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """`single_sign_on` is imported where it is needed: only who uses it shall load it."""

    def on_authentication_error(self, request: HttpRequest, provider: Any, **about: Any) -> None:
        from lobby.accounts import single_sign_on  # noqa: PLC0415

        raise ImmediateHttpResponse(single_sign_on.refuse(request, **about))

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        from lobby.accounts import single_sign_on  # noqa: PLC0415

        if refusal := single_sign_on.why_not(request, sociallogin):
            raise ImmediateHttpResponse(refused(request, why=refusal))

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> Any:
        from lobby.accounts import single_sign_on  # noqa: PLC0415

        save = partial(super().save_user, request, sociallogin, form)
        try:
            return single_sign_on.make_account(request, sociallogin, save=save)
        except InvitationOver:
            why = "This invitation was used or is over: ask for a new one."
            raise ImmediateHttpResponse(refused(request, why=why, status=410)) from None

    def send_notification_mail(self, template_prefix: str, user: Any, *args: Any, **options: Any) -> None:
        """Said when an account was connected, and only then."""
        from lobby.accounts import single_sign_on  # noqa: PLC0415

        single_sign_on.connected(self.request, user)

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("security")
