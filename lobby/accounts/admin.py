"""What belongs to accounts, for those who keep the lobby: keys, invitations, limits."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminIntegerFieldWidget

from lobby.accounts import invitations, keys
from lobby.accounts.models import ApiKey, Invitation, Limit
from lobby.site import FoundByOwner, ReadOnlyAdmin, RecordedAdmin, labelled

KEY_STATES = {"works": "success", "expired": "warning", "revoked": "danger"}
LONGEST_DAYS = 365
LIMIT_WORDS = {
    "min_value": "A limit is 0 or more; leave it empty for no limit.",
    "invalid": "A limit is a whole number; leave it empty for no limit.",
}
INVITATION_STATES = {"open": "info", "used": "success", "expired": "warning"}


def without_more(field: Any) -> Any:
    """Without the button that would add a row to choose: groups are made where they are at home."""
    if field and hasattr(field.widget, "can_add_related"):
        field.widget.can_add_related = False
    return field


@admin.register(ApiKey)
class ApiKeyAdmin(FoundByOwner, ReadOnlyAdmin):
    """Who has keys, for what, and since when they were not used. The keys themselves are known to their users alone."""

    owner_field = "user"
    list_display = ["name", "user", "shown_as", "may", "state", "created_at", "expires_at", "last_used_at"]
    list_select_related = ["user"]
    list_filter = ["created_at", "last_used_at"]
    sortable_by = ["created_at"]
    fields = ["name", "user", "shown_as", "may", "state", "created_at", "expires_at", "last_used_at", "revoked_at"]
    readonly_fields = ["shown_as", "may", "state"]
    actions = ["revoke"]

    @admin.display(description="begins with")
    def shown_as(self, key: ApiKey) -> str:
        return f"lob_{key.prefix}…"

    @admin.display(description="may")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @labelled("state", KEY_STATES)
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return "revoked"
        return "expired" if key.expires_at and key.expires_at <= timezone.now() else "works"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Asked by the action: nobody may change a key here, but who could may end it."""
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = sum(keys.revoke(key, request=request) for key in queryset)
        self.message_user(request, f"Revoked: {revoked}. They open nothing any more.")


class InviteForm(forms.ModelForm):  # type: ignore[type-arg]
    days = forms.IntegerField(
        min_value=1,
        max_value=LONGEST_DAYS,
        initial=7,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="For how many days the link opens.",
    )

    class Meta:
        model = Invitation
        fields = ["email", "groups"]


@admin.register(Invitation)
class InvitationAdmin(RecordedAdmin):
    """The link is said once, when the invitation is made: only its digest is kept."""

    form = InviteForm
    list_display = ["for_whom", "state", "invited_by", "created_at", "expires_at", "used_by", "used_at"]
    list_select_related = ["invited_by", "used_by"]
    list_filter = ["created_at", "used_at"]
    search_fields = ["email"]
    sortable_by = ["created_at"]
    actions = ["revoke"]
    shown = ["for_whom", "groups", "state", "invited_by", "created_at", "expires_at", "used_by", "used_at"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.shown if obj else ["email", "groups", "days"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.shown if obj else []

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        options["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        options["queryset"] = invitations.groups_of(request.user)
        return super().formfield_for_manytomany(db_field, request, **options)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        return without_more(super().formfield_for_dbfield(db_field, request, **options))

    @admin.display(description="for whom", ordering="email")
    def for_whom(self, invitation: Invitation) -> str:
        return invitation.email or "whoever has the link"

    @labelled("state", INVITATION_STATES)
    def state(self, invitation: Invitation) -> str:
        if invitation.used_at:
            return "used"
        return "expired" if invitation.expires_at <= timezone.now() else "open"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        data = form.cleaned_data
        made, path = invitations.invite(request.user, email=data["email"], groups=data["groups"], days=data["days"])
        obj.pk, obj._state.adding = made.pk, False
        obj.refresh_from_db()
        words = "Pass this link on now, it is not shown again: {}"
        self.message_user(request, format_html(words, request.build_absolute_uri(path)), messages.WARNING)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.delete_invitation")

    @admin.action(description="Take back: the link opens nothing any more", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        taken = sum(invitations.revoke(row, request=request) for row in queryset)
        self.message_user(request, f"Taken back: {taken}. Used or over already: {len(queryset) - taken}.")


class LimitValue:
    """What is no limit is refused in the words of limits."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "value":
            options["error_messages"] = LIMIT_WORDS
        if db_field.name == "scope":
            options |= {"label": "Holds for", "help_text": "For one user or one group, name it below."}
        return super().formfield_for_dbfield(db_field, request, **options)  # type: ignore[misc]


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whom the scope does not name is not shown, and does not count."""

    class Meta:
        model = Limit
        fields = ["kind", "scope", "user", "group", "value"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        return data | {name: None for name in ("user", "group") if name != data.get("scope")}


@admin.register(Limit)
class LimitAdmin(LimitValue, RecordedAdmin):
    """Changed here, it holds within seconds. What no row says, the settings do (docs/configuration.md)."""

    form = LimitForm
    list_display = ["kind", "scope", "user", "group", "value"]
    list_select_related = ["user", "group"]
    list_filter = ["kind", "scope"]
    search_fields = ["user__username", "group__name"]
    autocomplete_fields = ["user", "group"]
    fields = ["kind", "scope", "user", "group", "value"]
    conditional_fields = {"user": "scope == 'user'", "group": "scope == 'group'"}
    ordering = ["-id"]
    sortable_by: list[str] = []
