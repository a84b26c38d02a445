"""One's own account: who I am, my keys, my data, and leaving."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from lobby.accounts import archives, keys, own_data, removal
from lobby.accounts.answers import page, user_of
from lobby.accounts.forms import ConfirmForm
from lobby.accounts.key_forms import KeyForm
from lobby.accounts.models import ApiKey
from lobby.accounts.permissions import CHAT, DEBATE, MANAGE_AGENTS, SEE_METRICS, may
from lobby.correlation import with_reference

SHOWN = 50  # keys
FRESH = timedelta(minutes=10)  # a sign-in that stands for a password one does not have
MAY = {
    CHAT: "ask agents",
    DEBATE: "start debates",
    MANAGE_AGENTS: "change agents and hosts",
    SEE_METRICS: "see the dashboard",
}


@never_cache
@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    allowed = [words for permission, words in MAY.items() if may(user, permission)]
    context = {"allowed": allowed, "working_keys": keys.working(user).count()}
    return render(request, "accounts/account.html", context)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def my_keys(request: HttpRequest) -> HttpResponse:
    """A new key is on the page that answers, once."""
    form = KeyForm(request.POST or None)
    key = form.make(user_of(request), request=request) if form.is_bound else None
    return _keys_page(request, KeyForm() if key else form, key=key)


@never_cache
@login_required
@require_POST
def rotate_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    try:
        _, key = keys.rotate(_mine(request, pk), request=request)
    except keys.BadKeyRequest as error:
        messages.error(request, with_reference(str(error)))
        return redirect("keys")
    return _keys_page(request, KeyForm(), key=key, is_rotated=True)


@never_cache
@login_required
@require_POST
def revoke_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    if keys.revoke(_mine(request, pk), request=request):
        messages.success(request, "The key is revoked: it opens nothing any more.")
    return redirect("keys")


def _mine(request: HttpRequest, pk: UUID) -> ApiKey:
    return get_object_or_404(ApiKey, pk=pk, user=user_of(request))


def _keys_page(request: HttpRequest, form: KeyForm, **about: Any) -> HttpResponse:
    user = user_of(request)
    working = set(keys.working(user).values_list("pk", flat=True))
    rows = ApiKey.objects.filter(user=user)[:SHOWN]
    return page(request, "keys", form, rows=rows, working=working, **about)


@never_cache
@login_required
@require_POST
def my_data(request: HttpRequest) -> HttpResponseBase:
    """An archive, made in a file that is gone when it was sent."""
    user = user_of(request)
    try:
        return archives.send(request, user)
    except own_data.TooManyExports as error:
        messages.error(request, with_reference(str(error)))
    except OSError:
        messages.error(request, with_reference("There is no room on the server for your archive now. Tell an admin."))
    return redirect("account")


@never_cache
@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest) -> HttpResponse:
    """Asks for the password, or, of who has none, that the sign-in is not long ago."""
    user = user_of(request)
    form = ConfirmForm(request, user=user, data=request.POST if request.method == "POST" else None)
    is_stale = not form.fields and not _has_just_come(user)
    if not form.is_valid() or is_stale:
        return _delete_page(request, form, is_stale=is_stale)
    try:
        removal.remove(user, request=request)
    except removal.LastAdmin as error:
        form.add_error(None, str(error))
        return _delete_page(request, form)
    request.session.flush()
    request.user = AnonymousUser()
    return render(request, "accounts/deleted.html")


def _delete_page(request: HttpRequest, form: ConfirmForm, *, is_stale: bool = False) -> HttpResponse:
    user: Any = user_of(request)
    counts = {name: getattr(user, name).count() for name in ("conversations", "debates", "runs", "api_keys")}
    return page(request, "delete", form, counts=counts, is_stale=is_stale)


def _has_just_come(user: User) -> bool:
    return user.last_login is not None and user.last_login > timezone.now() - FRESH
