"""The admin: its own rules for scripts, our sign-in page, and an audit trail of what is changed in it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_update
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

from lobby import audit
from lobby.accounts.views import sign_out

# What unfold's pages need on top: Alpine evaluates attributes and sets styles. Our own pages never get this.
ADMIN_CSP = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}


class LobbySite(UnfoldAdminSite):  # type: ignore[misc]
    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        relaxed: Callable[..., Any] = csp_update(ADMIN_CSP)(super().admin_view(view, cacheable))
        return relaxed

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """One door for everybody: the throttled page. Who is in and is no admin would only go round in circles."""
        if request.user.is_authenticated:
            raise PermissionDenied
        target = request.GET.get("next") or reverse("admin:index")
        return redirect(f"{reverse('sign-in')}?{urlencode({'next': target})}")

    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return sign_out(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return redirect("password")


class RecordedAdmin(ModelAdmin):  # type: ignore[misc]
    """What is added, changed or deleted here stands in the audit trail."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        audit.record(f"{obj._meta.model_name}.added", request=request, subject=obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """The names of the fields, not what was in them."""
        changes = message if isinstance(message, list) else []
        audit.record(f"{obj._meta.model_name}.changed", request=request, subject=obj, changes=changes)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for row in queryset:
            audit.record(f"{row._meta.model_name}.deleted", request=request, subject=row, name=str(row))
        return super().log_deletions(request, queryset)


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Rows that the system writes and people look at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
