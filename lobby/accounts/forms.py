from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, UserCreationForm
from django.core.exceptions import ValidationError
from django.forms import BaseForm
from django.http import HttpRequest

from lobby.accounts import attempts, devices
from lobby.audit import client_address


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
    def __init__(self, request: HttpRequest, **rest: Any) -> None:
        self.request = request
        super().__init__(**rest)

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
