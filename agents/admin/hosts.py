import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from agents import hosts, pulls, runs
from agents.models import Host, Pull, Run
from agents.ollama import OllamaError
from lobby import audit
from lobby.problems import problem
from lobby.site import ReadOnlyAdmin, RecordedAdmin, labelled

LABELS = {"up": "success", "down": "danger", "off": "warning", "draining": "warning", "unknown": "info"}
NOTHING = HTTPStatus.NO_CONTENT
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


@admin.register(Host)
class HostAdmin(RecordedAdmin):
    """What is asked of a host is entered here; what it answered is shown."""

    list_display = ["name", "base_url", "standing", "models", "slots", "version", "latency", "probed_at"]
    list_filter = ["is_enabled", "is_draining", "state"]
    search_fields = ["name", "base_url"]
    fieldsets = [
        (None, {"fields": [("name", "base_url"), ("max_parallel", "is_enabled", "is_draining")]}),
        (
            "What was found when it was last asked",
            {"fields": [("state_now", "reason"), ("version", "latency", "probed_at")]},
        ),
    ]
    add_fieldsets = fieldsets[:1]
    readonly_fields = ["state_now", "reason", "version", "latency", "probed_at"]
    actions = ["probe_now", "enable", "disable", "drain", "stop_draining"]
    change_form_outer_after_template = "admin/agents/host/models.html"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "max_parallel":
            options |= {"label": "Replies at once", "help_text": "As many as its OLLAMA_NUM_PARALLEL says."}
        return super().formfield_for_dbfield(db_field, request, **options)

    def complete(self, rows: list[Any]) -> None:
        running = Run.objects.running().filter(host__in=rows).order_by().values_list("host")
        busy = dict(running.annotate(number=Count("*")))
        for host in rows:
            host.running = busy.get(host.pk, 0)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Host | None:
        host: Host | None = super().get_object(request, object_id, from_field)
        if host:
            self.complete([host])
        return host

    @labelled("state", LABELS)
    def standing(self, host: Any) -> tuple[str, str]:
        if not host.is_enabled:
            return "off", "switched off"
        if host.is_draining:
            left = getattr(host, "running", 0)
            return "draining", f"draining, {left} left" if left else "draining, nothing left"
        return host.state, host.get_state_display()

    @admin.display(description="state")
    def state_now(self, host: Any) -> str:
        return str(self.standing(host)[1])

    @admin.display(description="why")
    def reason(self, host: Host) -> str:
        return host.state_reason or "–"

    @admin.display(description="models")
    def models(self, host: Host) -> str:
        return ", ".join(host.model_names) or "none"

    @admin.display(description="replies now / at once")
    def slots(self, host: Any) -> str:
        return f"{host.running} / {host.max_parallel}"

    @admin.display(description="latency")
    def latency(self, host: Host) -> str:
        return "–" if host.latency_ms is None else f"{host.latency_ms:.1f} ms"

    def get_urls(self) -> list[URLPattern]:
        ways: dict[str, Callable[..., HttpResponse]] = {
            "models": self.show_models,
            "probe": require_POST(self.probe_one),
            "pull": require_POST(self.pull),
            "stop-pull": require_POST(self.stop_pull),
            "unload": require_POST(self.unload),
        }
        own = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(way), name=f"agents_host_{name}")
            for name, way in ways.items()
        ]
        return [*own, *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: Any, **form: Any) -> HttpResponse:
        if host := form.get("obj"):
            context.update(self._of(request, host))
        page: HttpResponse = super().render_change_form(request, context, **form)
        return page

    def show_models(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The table alone, for a page that is open."""
        host = self._host(request, object_id, allowed=self.has_view_permission)
        return HttpResponse(render_to_string("admin/agents/host/table.html", self._of(request, host), request))

    def probe_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        hosts.probe_now([self._host(request, object_id)])
        return HttpResponse(status=NOTHING)

    def pull(self, request: HttpRequest, object_id: str) -> HttpResponse:
        host = self._host(request, object_id)
        try:
            pull = pulls.ask(host, request.POST.get("model", ""), by=request.user)
        except pulls.NotPulled as error:
            return problem(UNPROCESSABLE, str(error), kind="invalid")
        audit.record("host.pull_asked", request=request, subject=host, model=pull.model)
        return HttpResponse(status=NOTHING)

    def stop_pull(self, request: HttpRequest, object_id: str) -> HttpResponse:
        host = self._host(request, object_id)
        wanted = host.pulls.filter(pulls.UNFINISHED, model=request.POST.get("model", "")).first()
        if wanted and pulls.cancel(wanted):
            audit.record("host.pull_stopped", request=request, subject=host, model=wanted.model)
        return HttpResponse(status=NOTHING)

    def unload(self, request: HttpRequest, object_id: str) -> HttpResponse:
        host, model = self._host(request, object_id), request.POST.get("model", "")
        if model not in host.loaded:
            return problem(UNPROCESSABLE, "This host does not hold that model in memory.", kind="invalid")
        try:
            asyncio.run(pulls.unload(host, model))
        except OllamaError as error:
            return problem(UNPROCESSABLE, error.message, kind=error.kind)
        audit.record("host.model_unloaded", request=request, subject=host, model=model)
        hosts.probe_now([host])
        return HttpResponse(status=NOTHING)

    def _host(self, request: HttpRequest, object_id: str, *, allowed: Callable[..., bool] | None = None) -> Host:
        host = self.get_object(request, object_id)
        if host is None or not (allowed or self.has_change_permission)(request, host):
            raise Http404
        return host

    def _of(self, request: HttpRequest, host: Host) -> dict[str, Any]:
        return {
            "host": host,
            "models": hosts.models_of(host),
            "pulls": [pulls.told(pull) for pull in pulls.recent(host)],
            "may_change": self.has_change_permission(request, host),
        }

    @admin.action(description="Probe now", permissions=["change"])
    def probe_now(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        hosts.probe_now(queryset)
        for host in queryset.all():
            self._tell(request, host)

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        self.switch(request, queryset, action="enabled", is_enabled=True)
        transaction.on_commit(runs.ring)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        self.switch(request, queryset, action="disabled", is_enabled=False)

    @admin.action(description="Drain: finish what is being written, take nothing new", permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        self.switch(request, queryset, action="drained", is_draining=True)

    @admin.action(description="Stop draining: take runs again", permissions=["change"])
    def stop_draining(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        self.switch(request, queryset, action="in_use_again", is_draining=False)
        transaction.on_commit(runs.ring)

    def save_model(self, request: HttpRequest, obj: Host, form: Any, change: bool) -> None:
        """Asked at once, so that the page that follows already tells whether it can be reached."""
        super().save_model(request, obj, form, change)
        transaction.on_commit(partial(self._probe_and_tell, request, obj))

    def _probe_and_tell(self, request: HttpRequest, host: Host) -> None:
        hosts.probe_now([host])
        runs.ring()
        self._tell(request, Host.objects.get(pk=host.pk))

    def _tell(self, request: HttpRequest, host: Host) -> None:
        level = messages.SUCCESS if host.state == Host.State.UP else messages.WARNING
        self.message_user(request, f"{host}: {host.get_state_display()} {host.state_reason}".strip(), level)


@admin.register(Pull)
class PullAdmin(ReadOnlyAdmin):
    """What was asked for, and how it went. Asked for and stopped on the host's page."""

    list_display = ["model", "host", "status", "percent", "asked_by", "asked_at", "ended_at"]
    list_filter = ["status", "host"]
    list_select_related = ["host", "asked_by"]
    search_fields = ["model"]
    sortable_by = ["asked_at"]
    fields = [
        ("model", "host"),
        ("status", "percent", "size"),
        ("step", "error"),
        ("asked_by", "asked_at", "cancel_requested_at", "ended_at"),
    ]
    readonly_fields = ["percent", "size"]

    @admin.display(description="size")
    def size(self, pull: Pull) -> str:
        return filesizeformat(pull.total) if pull.total else "–"

    @admin.display(description="downloaded")
    def percent(self, pull: Pull) -> str:
        percent = pulls.told(pull)["percent"]
        return "–" if percent is None else f"{percent} %"
