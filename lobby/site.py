"""The admin: its own rules for scripts, our sign-in page, lists that stay quick, and an audit trail of what is done."""

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.sites import UnfoldAdminSite
from unfold.views import ChangeList

from lobby import audit
from lobby.accounts.views import sign_out

# What unfold's pages need on top: Alpine evaluates attributes and sets styles. Our own pages never get this.
ADMIN_CSP = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}
COUNTED = 10_000  # rows; beyond them the planner's estimate will do, and pages end
NAMES_FOUND = 200  # owners that one search is about
SHOWN_OF_ID = 8  # characters: enough to tell rows apart, and to find one again
ID_BEGINS = r"[0-9a-f]{8,32}"


def words_of(values: Any) -> str:
    """A small object, as it is kept in a row, in words."""
    return "; ".join(f"{name.replace('_', ' ')}: {_word_of(value)}" for name, value in values.items()) or "–"


def _word_of(value: Any) -> str:
    match value:
        case dict():
            return f"({words_of(value)})" if value else "–"
        case list():
            return ", ".join(map(_word_of, value)) or "–"
        case bool():
            return "yes" if value else "no"
        case None | "":
            return "–"
        case _:
            return str(value)


class LobbySite(UnfoldAdminSite):  # type: ignore[misc]
    index_title = "Overview"

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


Method = Callable[..., Any]


def labelled(description: str, colours: dict[str, str]) -> Callable[[Method], Method]:
    """A column of small labels; the method gives a key of `colours`, or the key and the words."""
    decorate: Callable[[Method], Method] = display(description=description, label=colours)
    return decorate


def button(description: str, *, permission: str) -> Callable[[Method], Method]:
    """A further button below a form, which saves first."""
    decorate: Callable[[Method], Method] = action(description=description, permissions=[permission])
    return decorate


class Pages(Paginator):  # type: ignore[type-arg]
    """Counting a million rows takes longer than showing a hundred: past `COUNTED` the planner is asked instead."""

    template_name = "admin/pages.html"

    @cached_property
    def count(self) -> int:
        """Of the rows that can be turned to."""
        return min(COUNTED, self._counted)

    @cached_property
    def total(self) -> int | None:
        """About how many there are; None where `count` says it."""
        if self._counted <= COUNTED:
            return None
        plan = orjson.loads(self._rows.explain(format="JSON"))
        return max(self._counted, int(plan[0]["Plan"]["Plan Rows"]))

    @cached_property
    def _counted(self) -> int:
        return int(self._rows[: COUNTED + 1].count())

    @property
    def _rows(self) -> Any:
        rows: Any = self.object_list
        return rows.order_by().values("pk")


class Rows(ChangeList):  # type: ignore[misc]
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.model_admin.complete(list(self.result_list))


class LobbyAdmin(ModelAdmin):  # type: ignore[misc]
    """Of any table, however long: nothing is counted, sorted or looked through that no index carries."""

    paginator = Pages
    list_per_page = list_max_show_all = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # each would count the whole table
    compressed_fields = False
    warn_unsaved_form = True

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return Rows

    def complete(self, rows: list[Any]) -> None:
        """Add to the rows of one page what is asked of the database for all of them at once."""

    def switch(self, request: HttpRequest, rows: QuerySet[Any], *, action: str, **fields: Any) -> None:
        """Set fields where they are not so yet; `action` is the word for the audit trail and the message."""
        changed = [row for row in rows if type(row).objects.filter(pk=row.pk).exclude(**fields).update(**fields)]
        for row in changed:
            audit.record(f"{row._meta.model_name}.{action}", request=request, subject=row)
        named = ", ".join(map(str, changed)) or "none, they were so already"
        self.message_user(request, f"{action.replace('_', ' ').capitalize()}: {named}.")


class RecordedAdmin(LobbyAdmin):
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


class ReadOnlyAdmin(LobbyAdmin):
    """Rows that the system writes and people look at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def render_change_form(self, request: HttpRequest, context: Any, **form: Any) -> HttpResponse:
        """Without a way to what was changed here: nothing ever is."""
        page: HttpResponse = super().render_change_form(request, context | {"show_history": False}, **form)
        return page


class ReadingRecorded(ReadOnlyAdmin):
    """What people said: whoever reads it is told that this was written down, and whose words they are."""

    def render_change_form(self, request: HttpRequest, context: Any, **form: Any) -> HttpResponse:
        record_reading(request, form["obj"])
        page: HttpResponse = super().render_change_form(request, context, **form)
        return page


def record_reading(request: HttpRequest, row: Any) -> None:
    """A row with an owner, whose words are about to be shown."""
    audit.record(f"{row._meta.model_name}.read", request=request, subject=row, owner=row.owner_id)
    if row.owner_id != request.user.pk:
        whose = f"This {row._meta.verbose_name} belongs to {row.owner}."
        messages.info(request, f"{whose} That you read it has been recorded in the audit log.")


class FoundByOwner(LobbyAdmin):
    """Searched by its id, its beginning is enough, or by its owner's name, through indexes."""

    owner_field = "owner"
    search_fields = ("pk",)
    search_help_text = "The beginning of an id or of a user name."

    @display(description="id")  # type: ignore[untyped-decorator]
    def short_id(self, row: Any) -> str:
        return str(row.pk)[:SHOWN_OF_ID]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not (term := search_term.strip()):
            return queryset, False
        owners = get_user_model().objects.filter(username__startswith=term).values_list("pk", flat=True)
        if re.fullmatch(ID_BEGINS, digits := term.replace("-", "").lower()) and not owners.exists():
            return queryset.filter(pk__range=(UUID(f"{digits:0<32}"), UUID(f"{digits:f<32}"))), False
        return queryset.filter(**{f"{self.owner_field}__in": list(owners[:NAMES_FOUND])}), False
