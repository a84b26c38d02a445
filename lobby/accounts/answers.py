"""What the views of accounts have in common: a page with a form, its status, and who may see what is sensitive."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lobby.accounts.forms import Counted

View = Callable[..., HttpResponse]


def page(request: HttpRequest, template: str, form: Any, **context: Any) -> HttpResponse:
    return with_status(render(request, f"accounts/{template}.html", {"form": form, **context}), form)


def with_status(response: HttpResponse, form: Any) -> HttpResponse:
    retry_after = form.retry_after if isinstance(form, Counted) else None
    if retry_after is not None:
        response.status_code = 429
        response["Retry-After"] = str(retry_after)
    elif form.is_bound:
        response.status_code = 422
    return response


def confirmed(view: View) -> View:
    """Only who has shown again, within five minutes, that it is he. What he sent is asked for anew: it is not kept."""

    @login_required
    @wraps(view)
    def asked_again(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if did_recently_reauthenticate(request):
            return view(request, *args, **options)
        target = request.path if request.method == "GET" else reverse("security")
        return redirect(f"{reverse('confirm')}?{urlencode({'next': target}, safe='/')}")

    return asked_again


def user_of(request: HttpRequest) -> User:
    """Of a view for who is signed in."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101  (tells mypy what login_required made sure)
    return user
