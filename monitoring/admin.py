"""Alerts and who is told of them, and the audit log."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminSelectWidget

from lobby import audit
from lobby.correlation import with_reference
from lobby.site import SHOWN_OF_ID, ReadOnlyAdmin, RecordedAdmin, labelled
from monitoring import alerts, notices, rules, trail
from monitoring.models import Alert, AlertRule, AuditEvent, Notification, Receiver

SEVERITIES = {"info": "info", "warning": "warning", "critical": "danger"}
WORDS = {
    "bound": {"help_text": "Seconds, bytes or runs, as the metric has them; of a share 0.05 is 5 %, of a yes 1."},
    "for_seconds": {"label": "For how long", "help_text": "In seconds; 0: raised at once."},
    "advice": {"label": "What to do", "help_text": "Stands in every message about it."},
}
STANDINGS = {"open": "danger", "acknowledged": "warning", "resolved": "success", "pending": "info"}


@admin.register(AlertRule)
class AlertRuleAdmin(RecordedAdmin):
    list_display = ["name", "when", "severity", "is_enabled"]
    list_filter = ["is_enabled", "severity"]
    search_fields = ["name", "metric"]
    fields = ["name", ("metric", "comparison", "bound"), ("for_seconds", "severity", "is_enabled"), "advice"]
    actions = ["enable", "disable"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "metric":
            known = [(name, f"{name}: {metric.words}") for name, metric in rules.METRICS.items()]
            options["widget"] = UnfoldAdminSelectWidget(choices=known)
        options |= WORDS.get(db_field.name, {})
        return super().formfield_for_dbfield(db_field, request, **options)

    @admin.display(description="raised when")
    def when(self, rule: AlertRule) -> str:
        metric = rules.METRICS.get(rule.metric)
        words = f"{rule.metric} {rule.comparison} {rule.bound:g}"
        if metric:
            words = metric.condition(rule.comparison, rule.bound)
        return f"{words} for {rule.for_seconds} s" if rule.for_seconds else words

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        self.switch(request, queryset, action="enabled", is_enabled=True)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        self.switch(request, queryset, action="disabled", is_enabled=False)


class NotificationInline(TabularInline):  # type: ignore[misc]
    """What was sent of it, and to whom."""

    model = Notification
    fields = readonly_fields = ["receiver", "event", "state", "attempts", "next_at", "error"]
    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        rows: QuerySet[Notification] = super().get_queryset(request)
        return rows.select_related("receiver", "alert__rule")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What is, or was, not as it should be. Raised and resolved by the lobby itself, acknowledged by people."""

    list_display = ["rule", "subject", "severity", "standing", "measured", "since", "resolved_at", "acknowledged_by"]
    list_filter = ["rule__severity", "rule", "since", "resolved_at"]
    list_select_related = ["rule", "acknowledged_by"]
    search_fields = ["subject", "rule__name"]
    sortable_by = ["since"]
    fields = [
        ("rule", "subject"),
        ("standing", "severity", "measured"),
        "advice",
        ("since", "raised_at", "resolved_at"),
        ("acknowledged_at", "acknowledged_by"),
    ]
    readonly_fields = ["standing", "severity", "measured", "advice"]
    inlines = [NotificationInline]
    actions = ["acknowledge"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        return self.inlines if obj and obj.notifications.exists() else []

    @admin.display(description="measured")
    def measured(self, alert: Alert) -> str:
        metric = rules.METRICS.get(alert.rule.metric)
        return metric.show(alert.value) if metric else f"{alert.value:g}"

    @labelled("severity", SEVERITIES)
    def severity(self, alert: Alert) -> str:
        return alert.rule.severity

    @labelled("state", STANDINGS)
    def standing(self, alert: Alert) -> str:
        if alert.resolved_at:
            return "resolved"
        if alert.raised_at is None:
            return "pending"
        return "acknowledged" if alert.acknowledged_at else "open"

    @admin.display(description="what to do")
    def advice(self, alert: Alert) -> str:
        return alert.rule.advice or "–"

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("monitoring.change_alert")

    @admin.action(description="Acknowledge: somebody looks after it", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        number = sum(alerts.acknowledge(alert, by=request.user, request=request) for alert in queryset)
        self.message_user(request, f"Acknowledged: {number}.")


@admin.register(Receiver)
class ReceiverAdmin(RecordedAdmin):
    list_display = ["address", "kind", "least_severity", "is_enabled"]
    list_filter = ["kind", "is_enabled", "least_severity"]
    search_fields = ["address"]
    fields = [("kind", "address"), ("least_severity", "is_enabled")]
    actions = ["send_test", "renew_secret"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "address":
            options["help_text"] = "An e-mail address, or where a webhook leads: https://…"
        return super().formfield_for_dbfield(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Receiver, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.kind == Receiver.Kind.WEBHOOK and not obj.secret:
            self._tell_secret(request, obj)

    @admin.action(description="Send a test message", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Receiver]) -> None:
        for receiver in queryset:
            try:
                notices.send_test(receiver)
            except notices.NotSent as error:
                self.message_user(request, with_reference(f"{receiver}: not sent. {error}"), messages.ERROR)
            else:
                self.message_user(request, f"{receiver}: sent.", messages.SUCCESS)

    @admin.action(description="Make a new secret for a webhook", permissions=["change"])
    def renew_secret(self, request: HttpRequest, queryset: QuerySet[Receiver]) -> None:
        for receiver in queryset.filter(kind=Receiver.Kind.WEBHOOK):
            audit.record("receiver.secret_renewed", request=request, subject=receiver)
            self._tell_secret(request, receiver)

    def _tell_secret(self, request: HttpRequest, receiver: Receiver) -> None:
        words = f"{receiver} is signed for with the secret {notices.new_secret(receiver)}: it is not shown again."
        self.message_user(request, words, messages.WARNING)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Nobody changes it: the database itself refuses."""

    list_display = ["at", "action", "who", "short_subject", "address"]
    fields = [("at", "action"), ("who", "address"), "subject", "details"]
    readonly_fields = ["who", "subject", "details"]
    list_filter = ["at"]
    list_before_template = "admin/monitoring/auditevent/search.html"
    ordering = ["-id"]
    sortable_by: list[str] = []
    search_fields = ["=actor_name"]
    search_help_text = "A user name, as it is written."

    @admin.display(description="who")
    def who(self, event: AuditEvent) -> str:
        return event.actor_name or "–"

    @admin.display(description="to what")
    def subject(self, event: AuditEvent) -> str:
        return _subject(event, event.subject_id)

    @admin.display(description="to what")
    def short_subject(self, event: AuditEvent) -> str:
        return _subject(event, event.subject_id[:SHOWN_OF_ID])

    @admin.display(description="details")
    def details(self, event: AuditEvent) -> str:
        return trail.tell([event])[event.pk]


def _subject(event: AuditEvent, shown: str) -> str:
    """The kind, and the id as a link to where it is shown, if it is anywhere."""
    if not event.subject_kind:
        return "–"
    kind = event.subject_kind.rpartition(".")[2]
    try:
        link = reverse(f"admin:{event.subject_kind.replace('.', '_')}_change", args=[event.subject_id])
    except NoReverseMatch:
        return f"{kind} {shown}"
    return format_html('<span>{} <a class="link" href="{}">{}</a></span>', kind, link, shown)
