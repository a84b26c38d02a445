"""How people come in and go out: sign-in with its stages, sign-up, forgotten passwords, the one-time link."""

from http import HTTPStatus
from typing import Any

from allauth.account.internal.decorators import login_stage_required
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from lobby import audit
from lobby.accounts import entrance, invitations, links, mails, passwords, second_factor
from lobby.accounts.answers import page, user_of, with_status
from lobby.accounts.forms import WRONG_CODE, CodeForm, EmailForm, NewPasswordForm, ProveForm, SignInForm, SignUpForm
from lobby.accounts.refusals import refused

LINK_OVER = "This link was used, or it is too old. Ask for a new one."


class SignIn(LoginView):
    """Django's own view, which checks `next` and keeps passwords out of error reports; what comes after the right
    password is in lobby/accounts/entrance.py."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        offered = {"signup_open": settings.LOBBY_SIGNUP == "open", "provider": settings.OIDC_URL and settings.OIDC_NAME}
        return super().get_context_data(**offered, **context)

    def form_valid(self, form: Any) -> HttpResponse:
        return entrance.enter(self.request, form.get_user(), by="password", target=self.get_redirect_url())

    def form_invalid(self, form: Any) -> HttpResponse:
        return with_status(super().form_invalid(form), form)


sign_out = transaction.atomic(LogoutView.as_view())  # sockets are told on commit: when the session is gone


@sensitive_post_parameters()
@login_stage_required(stage="code", redirect_urlname="sign-in")  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "POST"])
def code(request: Any) -> HttpResponse:
    """The second factor, after the right password; nobody is signed in yet."""
    user = request._login_stage.login.user
    form = CodeForm(request, user=user, data=request.POST or None)
    if not form.is_valid():
        if form.has_error("code", "wrong_code"):
            audit.record("session.code_refused", request=request, subject=user)
        return page(request, "code", form)
    _note_factor(request, user, form.accepted)
    response: HttpResponse = request._login_stage.exit()
    return response


@sensitive_post_parameters()
@login_stage_required(stage="set_up", redirect_urlname="sign-in")  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "POST"])
def set_up_first(request: Any) -> HttpResponse:
    """A second factor for who must have one and has none; then he is signed in, and sees his recovery codes once."""
    user = request._login_stage.login.user
    form = ProveForm(data=request.POST or None)
    codes = second_factor.turn_on(user, request.session, code=form.cleaned_data["code"]) if form.is_valid() else None
    if codes is None:
        return show_secret(request, user, form)
    audit.record("second_factor.turned_on", request=request, actor=user)
    record_authentication(request, user, "mfa")
    response: HttpResponse = request._login_stage.exit()
    shown = render(request, "accounts/recovery_codes.html", {"codes": codes, "target": response["Location"]})
    shown.cookies.update(response.cookies)
    return shown


def show_secret(request: HttpRequest, user: Any, form: Any) -> HttpResponse:
    """The QR code to scan. A wrong code leaves the secret as it is: the app has it already."""
    secret = second_factor.proposed(request.session) if form.is_bound else None
    secret = secret or second_factor.propose(request.session)
    if form.is_valid():
        form.add_error("code", WRONG_CODE)
    about = {"picture": second_factor.picture(user, secret), "is_required": second_factor.is_required(user)}
    return page(request, "set_up", form, secret=secret, **about)


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest, token: str = "") -> HttpResponse:
    if settings.LOBBY_SIGNUP == "closed":
        return refused(request, why="Accounts are made by an admin here: ask one for yours.", status=404)
    if request.user.is_authenticated:
        return redirect("home")
    invitation = invitations.find(token) if token else None
    if token and invitation is None:
        why = "This invitation was used, or it is over. Ask whoever invited you for a new one."
        return refused(request, why=why, status=410)
    if settings.LOBBY_SIGNUP == "invited" and invitation is None:
        return refused(request, why="You need an invitation here: ask an admin for one.", status=404)
    if invitation:
        request.session["invitation"] = token  # so that it counts for single sign-on as well
    form = SignUpForm(request, invitation=invitation, data=request.POST or None)
    if not form.is_valid():
        return page(request, "sign_up", form, provider=settings.OIDC_URL and settings.OIDC_NAME)
    return _make_account(request, form, token=token)


def _make_account(request: HttpRequest, form: Any, *, token: str) -> HttpResponse:
    """Who signs up with the address of somebody else's account learns it by mail, if the address is his."""
    email = form.cleaned_data.get("email", "")
    if settings.MAIL and entrance.is_taken(email):
        mails.send_about_account(request, to=email)
        return redirect("look-into-mail")
    try:
        with transaction.atomic():
            user = form.save()
            if token:
                invitations.redeem(token, user=user, email=email)
            if email:
                EmailAddress.objects.create(user=user, email=email, primary=True)
    except invitations.InvitationOver:
        return refused(request, why=LINK_OVER, status=410)
    except IntegrityError:  # somebody took the name just now
        form.add_error("username", "A user with that username already exists.")
        return page(request, "sign_up", form)
    audit.record("account.signed_up", request=request, actor=user)
    return entrance.enter(request, user, by="password")


@never_cache
@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "POST"])
@transaction.atomic
def password(request: HttpRequest) -> HttpResponse:
    """A new password ends every other session of the user; who came by the one-time link sets a first one."""
    user = user_of(request)
    data = request.POST or None
    form = (
        NewPasswordForm(request, user=user, data=data)
        if user.has_usable_password()
        else SetPasswordForm(user, data, label_suffix="")
    )
    if not form.is_valid():
        return page(request, "password", form)
    update_session_auth_hash(request, form.save())
    audit.record("account.password_changed", request=request)
    mails.tell(user, "Its password was changed.")
    messages.success(request, "Your password is changed. Other browsers are signed out.")
    return redirect("home")


@never_cache
@require_http_methods(["GET", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Where no mail is sent the page says who can help. Who has an account is not to be found out here."""
    form = EmailForm(request, data=request.POST or None) if settings.MAIL else None
    if form is None:
        return render(request, "accounts/forgotten.html", {"form": None})
    if not form.is_valid():
        return page(request, "forgotten", form)
    passwords.ask(request, email=form.cleaned_data["email"])
    return redirect("look-into-mail")


@never_cache
@require_safe
def look_into_mail(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/look_into_mail.html")


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@transaction.atomic
def new_password(request: HttpRequest, key: str) -> HttpResponse:
    """By the link in a mail. Looking at it does not use it up; setting the password does, and ends all sessions."""
    user = passwords.owner(key, locked=request.method == "POST")
    if user is None:
        return refused(request, why=LINK_OVER, status=410)
    form: Any = SetPasswordForm(user, request.POST or None, label_suffix="")
    if not form.is_valid():
        return page(request, "new_password", form, username=user.get_username())
    form.save()
    audit.record("account.password_reset", request=request, subject=user)
    mails.tell(user, "Its password was set anew by the link in a mail.")
    messages.success(request, "Your password is changed. Sign in with it.")
    return redirect("sign-in")


@never_cache
@require_http_methods(["GET", "POST"])
def confirm_email(request: HttpRequest, key: str) -> HttpResponse:
    """By the link in a mail; only the button on the page counts, as programs look into mails before people do."""
    confirmation = EmailConfirmationHMAC.from_key(key)
    if confirmation is None:
        return refused(request, why=LINK_OVER, status=410)
    address = confirmation.email_address
    if request.method == "GET":
        return render(request, "accounts/confirm_email.html", {"address": address})
    if not confirmation.confirm(request):
        return refused(request, why="This address belongs to another account by now.", status=409)
    audit.record("account.email_confirmed", request=request, subject=address.user)
    messages.success(request, f"{address.email} is confirmed.")
    return redirect("email" if request.user.is_authenticated else "sign-in")


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
    target = reverse("home" if user.has_usable_password() else "password")
    return entrance.enter(request, user, by="link", target=target)


@never_cache
@require_safe
def single(request: HttpRequest) -> HttpResponse:
    """To the provider, where there is one."""
    if request.user.is_authenticated:
        return redirect("home")
    target = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    response: HttpResponse = the_provider().leave(request, process="login", target=target if is_ours else "")
    return response


@never_cache
@require_safe
def single_back(request: HttpRequest) -> HttpResponse:
    response: HttpResponse = the_provider().come_back(request)
    return response


def the_provider() -> Any:
    if not settings.OIDC_URL:
        raise Http404
    from lobby.accounts import single_sign_on  # noqa: PLC0415  (5 MB that only who uses it shall load)

    return single_sign_on


def _note_factor(request: HttpRequest, user: User, accepted: Any) -> None:
    record_authentication(request, user, "mfa", id=accepted.pk, type=accepted.type)
    if accepted.type == second_factor.Type.RECOVERY_CODES:
        audit.record("second_factor.recovery_code_used", request=request, actor=user)
        mails.tell(user, "One of its recovery codes was used to sign in.")
