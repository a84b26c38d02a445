from django.contrib import admin

from lobby.site import ReadOnlyAdmin
from monitoring.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ["at", "action", "actor_name", "subject_kind", "subject_id", "address"]
    list_filter = ["action", "subject_kind"]
    search_fields = ["actor_name", "subject_id"]
    date_hierarchy = "at"
