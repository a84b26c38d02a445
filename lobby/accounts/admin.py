"""What belongs to accounts, for those who keep the lobby: keys, invitations, limits."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from lobby.accounts import keys
from lobby.accounts.models import ApiKey, Invitation, Limit
from lobby.site import FoundByOwner, ReadOnlyAdmin, RecordedAdmin, labelled

KEY_STATES = {"works": "success", "expired": "warning", "revoked": "danger"}
INVITATION_STATES = {"open": "info", "used": "success", "expired": "warning"}


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


@admin.register(Invitation)
class InvitationAdmin(RecordedAdmin):
    """Deleting one that was not used takes it back."""

    list_display = ["__str__", "state", "invited_by", "created_at", "expires_at", "used_by", "used_at"]
    list_select_related = ["invited_by", "used_by"]
    list_filter = ["created_at", "used_at"]
    search_fields = ["email"]
    sortable_by = ["created_at"]
    fields = ["email", "groups", "expires_at", "state", "invited_by", "created_at", "used_by", "used_at"]
    readonly_fields = ["state", "invited_by", "created_at", "used_by", "used_at"]

    @labelled("state", INVITATION_STATES)
    def state(self, invitation: Invitation) -> str:
        if invitation.used_at:
            return "used"
        return "expired" if invitation.expires_at <= timezone.now() else "open"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Limit)
class LimitAdmin(RecordedAdmin):
    """Changed here, it holds within seconds. What no row says, the settings do (docs/configuration.md)."""

    list_display = ["kind", "scope", "user", "group", "value"]
    list_select_related = ["user", "group"]
    list_filter = ["kind", "scope"]
    search_fields = ["user__username", "group__name"]
    autocomplete_fields = ["user", "group"]
    fields = ["kind", "scope", ("user", "group"), "value"]
