from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, UserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.forms import BaseForm, Form
from django.http import HttpRequest

from lobby.accounts import attempts, devices, invitations, second_factor
from lobby.accounts.models import Invitation
from lobby.audit import client_address

WRONG_CODE = "This code is not right, or it was used already. Take the one that the app shows now."


class Counted(BaseForm):
    """A form whose submission may come too soon: then `retry_after` is set, in seconds."""

    retry_after: int | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        options["label_suffix"] = ""
        super().__init__(*args, **options)

    def refuse(self, error: attempts.TooManyAttempts) -> ValidationError:
        self.retry_after = error.retry_after
        return ValidationError(str(error), code="too_many_attempts")


class SignInForm(Counted, AuthenticationForm):
    request: HttpRequest
    error_messages = {"invalid_login": "This user name and password do not go together.", "inactive": ""}

    def clean(self) -> dict[str, Any]:
        """Counted before the password is looked at, so that many guesses at once are counted as well."""
        account, address = self.cleaned_data.get("username"), client_address(self.request)
        if not account:
            return self.cleaned_data
        known = devices.knows(self.request, account=account)
        try:
            attempts.count_sign_in(account=account, address=address, is_known_device=known)
        except attempts.TooManyAttempts as error:
            raise self.refuse(error) from error
        cleaned = super().clean()
        attempts.forget(account=account, address=address)
        return cleaned


class SignUpForm(Counted, UserCreationForm):  # type: ignore[type-arg]
    """Where mail is sent an address is needed: it is how a forgotten password is set anew."""

    email = forms.EmailField(label="E-mail address", max_length=254)
    field_order = ["username", "email"]

    def __init__(self, request: HttpRequest, *, invitation: Invitation | None = None, **rest: Any) -> None:
        self.request, self.invitation = request, invitation
        super().__init__(**rest)
        invited = invitation.email if invitation else ""
        self.fields["email"].initial = invited
        self.fields["email"].required = bool(settings.MAIL or invited)
        if not settings.MAIL and not invited:
            del self.fields["email"]

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        if self.invitation and self.invitation.email and self.invitation.email.lower() != email:
            raise ValidationError("The invitation is for another address: use the one that it was sent to.")
        return email

    def clean(self) -> dict[str, Any]:
        try:
            attempts.count_sign_up(address=client_address(self.request))
        except attempts.TooManyAttempts as error:
            raise self.refuse(error) from error
        return super().clean() or self.cleaned_data


class NewPasswordForm(Counted, PasswordChangeForm):
    """The old password can be guessed here as on the sign-in page: the same counts hold."""

    def __init__(self, request: HttpRequest, **rest: Any) -> None:
        self.request = request
        super().__init__(**rest)

    def clean_old_password(self) -> str:
        account, address = self.user.get_username(), client_address(self.request)
        try:
            attempts.count_sign_in(account=account, address=address, is_known_device=True)
        except attempts.TooManyAttempts as error:
            raise self.refuse(error) from error
        old: str = super().clean_old_password()
        attempts.forget(account=account, address=address)
        return old


class CodeForm(Counted, Form):
    """A second factor. `accepted` is what the code was of."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="Six digits from your authenticator app, or one of your recovery codes.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )

    def __init__(self, request: HttpRequest, *, user: Any, **rest: Any) -> None:
        self.request, self.user = request, user
        self.accepted: Any = None
        super().__init__(**rest)

    def clean_code(self) -> str:
        """Counted before it is looked at."""
        account, address = self.user.get_username(), client_address(self.request)
        known = devices.knows(self.request, account=account)
        try:
            attempts.count_code(account=account, address=address, is_known_device=known)
        except attempts.TooManyAttempts as error:
            raise self.refuse(error) from error
        code: str = self.cleaned_data["code"]
        self.accepted = second_factor.accept(self.user, code=code)
        if self.accepted is None:
            raise ValidationError(WRONG_CODE, code="wrong_code")
        attempts.forget_codes(account=account, address=address)
        return code


class ConfirmForm(CodeForm):
    """That it is still him: the password, and a code where he has a second factor. The password is looked at first."""

    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}), strip=False
    )
    field_order = ["password", "code"]

    def __init__(self, request: HttpRequest, *, user: Any, **rest: Any) -> None:
        super().__init__(request, user=user, **rest)
        if not user.has_usable_password():
            del self.fields["password"]
        if not second_factor.is_on(user):
            del self.fields["code"]

    def clean_password(self) -> str:
        account, address = self.user.get_username(), client_address(self.request)
        try:
            attempts.count_sign_in(account=account, address=address, is_known_device=True)
        except attempts.TooManyAttempts as error:
            raise self.refuse(error) from error
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise ValidationError("This is not your password.", code="wrong_password")
        attempts.forget(account=account, address=address)
        return password

    def clean_code(self) -> str:
        if "password" in self.fields and "password" not in self.cleaned_data:
            raise ValidationError("Give your password first.")
        return super().clean_code()


class ProveForm(Counted, Form):
    """The first code of an app that was just set up."""

    code = forms.CharField(
        label="Code",
        max_length=20,
        help_text="Six digits that the app shows now.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class EmailForm(Counted, Form):
    """An address to which a mail goes at once; how often is counted."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    def __init__(self, request: HttpRequest, **rest: Any) -> None:
        self.request = request
        super().__init__(**rest)

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        try:
            attempts.count_reset(email=email, address=client_address(self.request))
        except attempts.TooManyAttempts as error:
            raise self.refuse(error) from error
        return email


class InvitationForm(Counted, Form):
    email = forms.EmailField(
        label="E-mail address", required=False, max_length=254, help_text="Empty: whoever has the link."
    )
    days = forms.IntegerField(label="Days it can be used", min_value=1, max_value=90, initial=7)
    groups = forms.ModelMultipleChoiceField(
        Group.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, help_text="Joined by whoever comes."
    )
    is_mailed = forms.BooleanField(label="Send it by mail", required=False)

    def __init__(self, inviter: Any, **rest: Any) -> None:
        super().__init__(**rest)
        groups: Any = self.fields["groups"]
        groups.queryset = invitations.groups_of(inviter)
        if not groups.queryset.exists():
            del self.fields["groups"]
        if not settings.MAIL:
            del self.fields["is_mailed"]

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("is_mailed") and not self.cleaned_data.get("email"):
            self.add_error("email", "Say where to send it.")
        return self.cleaned_data
