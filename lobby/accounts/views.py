from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from lobby import audit
from lobby.accounts import devices, links
from lobby.accounts.forms import Counted, NewPasswordForm, SignInForm, SignUpForm

BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignIn(LoginView):
    """Django's own view, which checks `next`, renews the session and keeps passwords out of error reports."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(signup_open=settings.LOBBY_SIGNUP == "open", **context)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        devices.remember(response, account=form.get_user().get_username())
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        return _with_status(super().form_invalid(form), form)


sign_out = transaction.atomic(LogoutView.as_view())  # sockets are told on commit: when the session is gone


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    if settings.LOBBY_SIGNUP != "open":
        raise Http404("Accounts are made by an admin here: ask one for yours.")
    if request.user.is_authenticated:
        return redirect("home")
    form = SignUpForm(request, data=request.POST or None)
    if not form.is_valid():
        return _page(request, "accounts/sign_up.html", form)
    user = form.save()
    login(request, user, backend=BACKEND)
    audit.record("account.signed_up", request=request, actor=user)
    return redirect("home")


@never_cache
@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "POST"])
@transaction.atomic
def password(request: HttpRequest) -> HttpResponse:
    """A new password ends every other session of the user; who came by the one-time link sets a first one."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101  (tells mypy what login_required made sure)
    data = request.POST or None
    form = (
        NewPasswordForm(request, user=user, data=data)
        if user.has_usable_password()
        else SetPasswordForm(user, data, label_suffix="")
    )
    if not form.is_valid():
        return _page(request, "accounts/password.html", form)
    update_session_auth_hash(request, form.save())
    audit.record("account.password_changed", request=request)
    messages.success(request, "Your password is changed. Other browsers are signed out.")
    return redirect("home")


@never_cache
@require_safe
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """The one-time link. What merely looks at it (HEAD) does not use it up, and is no error that would be logged."""
    if request.method == "HEAD":
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    user = links.redeem(token)
    if user is None and request.user.is_authenticated:
        return redirect("home")
    if user is None:
        return render(request, "accounts/link_over.html", status=410)
    login(request, user, backend=BACKEND)
    return redirect("home" if user.has_usable_password() else "password")


def _page(request: HttpRequest, template: str, form: Any) -> HttpResponse:
    return _with_status(render(request, template, {"form": form}), form)


def _with_status(response: HttpResponse, form: Any) -> HttpResponse:
    retry_after = form.retry_after if isinstance(form, Counted) else None
    if retry_after is not None:
        response.status_code = 429
        response["Retry-After"] = str(retry_after)
    elif form.is_bound:
        response.status_code = 422
    return response
