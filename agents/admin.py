from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from agents import hosts, runs
from agents.models import Agent, Host, Run, Worker
from lobby import audit
from lobby.site import ReadOnlyAdmin, RecordedAdmin


@admin.register(Agent)
class AgentAdmin(RecordedAdmin):
    list_display = ["name", "slug", "role", "model", "host", "is_active", "votes", "position"]
    list_filter = ["is_active", "role"]
    search_fields = ["name", "slug", "description"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Host)
class HostAdmin(RecordedAdmin):
    """What is asked of a host is entered here; what it answered is shown."""

    list_display = ["name", "base_url", "is_enabled", "state", "models", "max_parallel", "version", "latency_ms"]
    list_filter = ["is_enabled", "state"]
    fields = [
        "name",
        "base_url",
        "max_parallel",
        "is_enabled",
        "state",
        "state_reason",
        "version",
        "latency_ms",
        "probed_at",
        "models",
        "loaded",
    ]
    readonly_fields = ["state", "state_reason", "version", "latency_ms", "probed_at", "models", "loaded"]
    actions = ["probe_now"]

    @admin.display(description="models")
    def models(self, host: Host) -> str:
        return ", ".join(host.model_names)

    @admin.action(description="Probe now", permissions=["change"])
    def probe_now(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        hosts.probe_now(queryset)
        for host in queryset.all():
            level = messages.SUCCESS if host.state == Host.State.UP else messages.WARNING
            self.message_user(request, f"{host}: {host.get_state_display()} {host.state_reason}".strip(), level)

    def save_model(self, request: HttpRequest, obj: Host, form: Any, change: bool) -> None:
        """Asked at once, so that the list that follows already tells whether it can be reached."""
        super().save_model(request, obj, form, change)
        transaction.on_commit(lambda: hosts.probe_now([obj]))


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """How runs went. What was said in them belongs to the conversations, whose reading is recorded."""

    list_display = ["id", "purpose", "owner", "agent", "model", "host", "status", "attempt", "queued_at", "error_kind"]
    list_filter = ["status", "purpose", "model", "host", "error_kind"]
    list_select_related = ["owner", "agent", "host"]
    search_fields = ["=id", "owner__username"]
    date_hierarchy = "queued_at"
    exclude = ["messages", "text", "thinking", "logprobs", "format"]
    show_full_result_count = False
    actions = ["cancel", "retry"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows: QuerySet[Run] = super().get_queryset(request)
        return rows.defer(*self.exclude)

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Asked by the actions: nobody may change a run here, but who could may stop and repeat it."""
        return request.user.has_perm("agents.change_run")

    @admin.action(description="Cancel", permissions=["control"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        done = Counter(self._do("cancelled", runs.cancel, request, run) for run in queryset)
        self.message_user(request, f"Cancelled: {done[True]}. Already over: {done[False]}.")

    @admin.action(description="Retry failed ones", permissions=["control"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        done = Counter(self._do("retried", runs.repeat, request, run) for run in queryset)
        self.message_user(request, f"Back in line: {done[True]}. Not failed: {done[False]}.")

    def _do(self, name: str, act: Any, request: HttpRequest, run: Run) -> bool:
        done: bool = act(run)
        if done:
            audit.record(f"run.{name}", request=request, subject=run, owner=run.owner_id)
        return done


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ["id", "machine", "pid", "started_at", "seen_at"]
