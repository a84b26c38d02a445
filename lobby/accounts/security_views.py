"""What somebody sees and changes of his own way in: second factor, provider, e-mail, sessions. And invitations."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from lobby import audit
from lobby.accounts import browsers, entrance, invitations, mails, second_factor, sessions
from lobby.accounts.answers import confirmed, page, user_of
from lobby.accounts.forms import ConfirmForm, EmailForm, InvitationForm, ProveForm
from lobby.accounts.views import show_secret, the_provider
from lobby.correlation import with_reference

SHOWN = 50  # invitations


@never_cache
@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Asks again who he is, before something of his way in changes."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = reverse("security")
    form = ConfirmForm(request, user=user_of(request), data=request.POST or None)
    if form.fields and not form.is_valid():
        return page(request, "confirm", form, next=target)
    record_authentication(request, user_of(request), "password", reauthenticated=True)
    return redirect(urlsplit(target).path)


@never_cache
@login_required
@require_safe
def security(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    context = {
        "second_factor": Authenticator.objects.filter(user=user, type=second_factor.Type.TOTP).first(),
        "is_required": second_factor.is_required(user),
        "codes_left": second_factor.recovery_codes_left(user),
        "provider": settings.OIDC_URL and settings.OIDC_NAME,
        "connection": SocialAccount.objects.filter(user=user).first(),
        "has_mail": bool(settings.MAIL),
    }
    return render(request, "accounts/security.html", context)


@never_cache
@sensitive_post_parameters()
@confirmed
@require_http_methods(["GET", "POST"])
def turn_on(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if second_factor.is_on(user):
        return redirect("security")
    form = ProveForm(data=request.POST or None)
    codes = second_factor.turn_on(user, request.session, code=form.cleaned_data["code"]) if form.is_valid() else None
    if codes is None:
        return show_secret(request, user, form)
    _record(request, "second_factor.turned_on", "A second factor was turned on.")
    return render(request, "accounts/recovery_codes.html", {"codes": codes, "target": reverse("security")})


@never_cache
@confirmed
@require_POST
def turn_off(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if second_factor.is_required(user):
        messages.error(request, with_reference("You must have a second factor here, so it can't be turned off."))
    elif second_factor.reset(user):
        _record(request, "second_factor.turned_off", "Its second factor was turned off.")
        messages.success(request, "Your second factor is turned off.")
    return redirect("security")


@never_cache
@confirmed
@require_POST
def renew_codes(request: HttpRequest) -> HttpResponse:
    """The new ones are on this page, once."""
    user = user_of(request)
    if not second_factor.is_on(user):
        return redirect("security")
    codes = second_factor.renew_recovery_codes(user)
    _record(
        request, "second_factor.codes_renewed", "It got new recovery codes; those before are worth nothing any more."
    )
    return render(request, "accounts/recovery_codes.html", {"codes": codes, "target": reverse("security")})


@never_cache
@confirmed
@require_POST
def connect(request: HttpRequest) -> HttpResponse:
    """Answers with a page and not with a redirect: our policy lets no form lead to another site."""
    response: HttpResponse = the_provider().leave(request, process="connect", target=reverse("security"))
    if not isinstance(response, HttpResponseRedirect):
        return response
    return render(request, "accounts/leave.html", {"address": response.url, "provider": settings.OIDC_NAME})


@never_cache
@confirmed
@require_POST
def disconnect(request: HttpRequest) -> HttpResponse:
    if the_provider().disconnect(user_of(request)):
        _record(request, "single_sign_on.disconnected", f"It is no longer connected with {settings.OIDC_NAME}.")
        messages.success(request, f"{settings.OIDC_NAME} is no longer connected.")
    else:
        messages.error(request, with_reference("Set a password first: you would have no way in."))
    return redirect("security")


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def open_sessions(request: HttpRequest) -> HttpResponse:
    """Where he is signed in; `end` is one of them, or "others"."""
    user = user_of(request)
    if request.method == "POST":
        return _end(request, request.POST.get("end", ""))
    rows = [{"row": row, "browser": browsers.describe(row.browser)} for row in browsers.of(user)]
    context = {"rows": rows, "current": request.session.session_key}
    return render(request, "accounts/sessions.html", context)


def _end(request: HttpRequest, which: str) -> HttpResponse:
    if which == "others":
        count = sessions.end_others(request)
        messages.success(request, f"Signed out in {count} other browser{'' if count == 1 else 's'}.")
    elif (key := _uuid(which)) and sessions.end_one(request, pk=key):
        messages.success(request, "Signed out there.")
    else:
        messages.info(request, "That session was over already.")
    return redirect("sessions")


@never_cache
@confirmed
@require_http_methods(["GET", "POST"])
def email(request: HttpRequest) -> HttpResponse:
    """A new address takes the place of the old one once it is confirmed by the link that is mailed to it."""
    if not settings.MAIL:
        raise Http404
    user = user_of(request)
    form = EmailForm(request, data=request.POST or None)
    if not form.is_valid():
        addresses = EmailAddress.objects.filter(user=user).order_by("verified")
        return page(request, "email", form, addresses=addresses)
    new = form.cleaned_data["email"]
    if entrance.is_taken(new) and not EmailAddress.objects.filter(user=user, email=new).exists():
        mails.send_about_account(request, to=new)
    else:
        EmailAddress.objects.add_new_email(request, user, new)
    audit.record("account.email_change_asked", request=request)
    mails.tell(user, f"Its e-mail address is to become {new}.")
    return redirect("look-into-mail")


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def invite(request: HttpRequest) -> HttpResponse:
    """The link of a new invitation is on the page that answers, once."""
    user = user_of(request)
    if not invitations.may_invite(user):
        raise Http404
    form = InvitationForm(user, data=request.POST or None)
    path = _invite(request, form.cleaned_data) if form.is_valid() else ""
    rows = invitations.seen_by(user)[:SHOWN]
    context = {"link": path, "rows": rows, "usable": set(invitations.usable().values_list("pk", flat=True))}
    if path:
        return render(
            request, "accounts/invitations.html", {"form": InvitationForm(user), **context, "closed": _closed()}
        )
    return page(request, "invitations", form, **context, closed=_closed())


def _invite(request: HttpRequest, wanted: dict[str, Any]) -> str:
    to, made = wanted["email"], invitations.send(request, **wanted)
    if made.is_mailed:
        messages.success(request, f"The invitation is on its way to {to}.")
    elif wanted.get("is_mailed"):
        messages.error(
            request, with_reference(f"Not sent: {to} got three mails within the hour. Pass the link on yourself.")
        )
    return made.link


@login_required
@require_POST
def revoke_invitation(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = user_of(request)
    if not invitations.may_invite(user):
        raise Http404
    if invitations.revoke(get_object_or_404(invitations.seen_by(user), pk=pk), request=request):
        messages.success(request, "The invitation is revoked.")
    return redirect("invitations")


def _closed() -> bool:
    return settings.LOBBY_SIGNUP == "closed"


def _record(request: HttpRequest, action: str, words: str) -> None:
    audit.record(action, request=request)
    mails.tell(user_of(request), words)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
