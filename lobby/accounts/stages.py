"""What stands between a right password and a session, where somebody has, or must have, a second factor.

While a stage waits nobody is signed in: no page, operation or socket knows him yet.
"""

from typing import Any

from allauth.account.stages import LoginStage
from django.http import HttpResponse
from django.shortcuts import redirect

from lobby.accounts import second_factor

Outcome = tuple[HttpResponse | None, bool]  # where to go first, and whether the sign-in goes on


class Code(LoginStage):  # type: ignore[misc]
    """Asks for a code whoever has an authenticator app."""

    key = "code"
    urlname = "sign-in-code"

    def handle(self) -> Outcome:
        return (redirect("sign-in-code"), True) if second_factor.is_on(self.login.user) else (None, True)


class SetUp(LoginStage):  # type: ignore[misc]
    """Has whoever must have a second factor (LOBBY_REQUIRE_MFA) set one up before he comes in."""

    key = "set_up"
    urlname = "sign-in-set-up"

    def handle(self) -> Outcome:
        user: Any = self.login.user
        if not second_factor.is_required(user) or second_factor.is_on(user):
            return None, True
        return redirect("sign-in-set-up"), True
