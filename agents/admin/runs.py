from collections import Counter
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agents import runs, trials
from agents.errors import ModelUnavailable
from agents.models import Agent, Host, Run, Worker
from agents.ollama import OllamaError
from agents.purposes import PURPOSES
from lobby import audit
from lobby.site import SHOWN_OF_ID, FoundByOwner, ReadOnlyAdmin, labelled, record_reading, words_of

STATES = {
    **{"queued": "info", "running": "info", "done": "success"},
    **{"failed": "danger", "interrupted": "danger", "cancelled": "warning"},
}
OUR_FAULTS = ("internal", "worker_lost")


class OneOf(SimpleListFilter):
    """A filter whose values are known without looking through all runs."""

    def values(self) -> set[str]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value) for value in sorted(self.values())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class ByPurpose(OneOf):
    title = parameter_name = "purpose"

    def values(self) -> set[str]:
        return {*PURPOSES, trials.PURPOSE}


class ByModel(OneOf):
    title = parameter_name = "model"

    def values(self) -> set[str]:
        of_hosts = {name for host in Host.objects.all() for name in host.model_names}
        return of_hosts | set(Agent.objects.exclude(model="").order_by().values_list("model", flat=True))


class ByErrorKind(OneOf):
    title = "kind of error"
    parameter_name = "error_kind"

    def values(self) -> set[str]:
        return {*OUR_FAULTS, ModelUnavailable.kind, *(error.kind for error in OllamaError.__subclasses__())}


@admin.register(Run)
class RunAdmin(FoundByOwner, ReadOnlyAdmin):
    """How runs went. What was said in them is a page of its own, whose reading is recorded."""

    list_display = ["short_id", "purpose", "owner", "agent", "model", "host", "state", "queued_at", "error_kind"]
    list_filter = ["status", ByPurpose, ByModel, "host", ByErrorKind, "queued_at"]
    list_select_related = ["owner", "agent", "host"]
    sortable_by = ["queued_at"]
    actions = ["cancel", "retry"]
    fieldsets = [
        (None, {"fields": [("status", "purpose", "priority"), ("owner", "agent"), ("model", "host"), "said"]}),
        (
            "Times",
            {
                "fields": [
                    ("queued_at", "started_at", "first_token_at", "finished_at"),
                    ("waited", "to_first_token", "wrote", "loaded_in"),
                ]
            },
        ),
        (
            "Figures",
            {
                "fields": [
                    ("prompt_tokens", "output_tokens", "speed", "context_length"),
                    ("asked_with", "thinks", "done_reason"),
                ]
            },
        ),
        (
            "What happened",
            {
                "fields": [
                    ("attempt", "by_worker", "wanted_host", "avoided"),
                    ("error_kind", "error", "error_figures"),
                    ("cancel_requested_at", "topic", "request_id"),
                ]
            },
        ),
    ]
    readonly_fields = [
        *("said", "waited", "to_first_token", "wrote", "loaded_in", "speed"),
        *("asked_with", "thinks", "by_worker", "avoided", "error_figures"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows: QuerySet[Run] = super().get_queryset(request)
        return rows.defer("messages", "text", "thinking", "logprobs", "format")

    def get_urls(self) -> list[URLPattern]:
        prompt = self.admin_site.admin_view(self.show_prompt)
        return [path("<path:object_id>/prompt/", prompt, name="agents_run_prompt"), *super().get_urls()]

    @admin.display(description="prompt and answer")
    def said(self, run: Run) -> SafeString:
        link = reverse("admin:agents_run_prompt", args=[run.pk])
        return format_html('<a class="link" href="{}">Read them</a> (this is recorded in the audit log)', link)

    @admin.display(description="waited in line")
    def waited(self, run: Run) -> str:
        return _seconds(run.queued_at, run.started_at)

    @admin.display(description="question to first token")
    def to_first_token(self, run: Run) -> str:
        return _seconds(run.queued_at, run.first_token_at)

    @admin.display(description="first token to end")
    def wrote(self, run: Run) -> str:
        return _seconds(run.first_token_at, run.finished_at)

    @admin.display(description="model loaded in")
    def loaded_in(self, run: Run) -> str:
        return "–" if run.load_seconds is None else f"{run.load_seconds:.2f} s"

    @admin.display(description="speed")
    def speed(self, run: Run) -> str:
        return "–" if run.tokens_per_second is None else f"{run.tokens_per_second:.1f} tokens/s"

    @admin.display(description="options")
    def asked_with(self, run: Run) -> str:
        return words_of(run.options) if run.options else "the model's own"

    @admin.display(description="thinks first")
    def thinks(self, run: Run) -> str:
        if run.think is None:
            return "as the model does by itself"
        return "yes" if run.think else "no"

    @admin.display(description="written by")
    def by_worker(self, run: Run) -> str:
        if run.worker is None:
            return "–"
        worker = Worker.objects.filter(pk=run.worker).first()
        return str(worker or f"worker {str(run.worker)[:SHOWN_OF_ID]}, which is gone")

    @admin.display(description="failed on")
    def avoided(self, run: Run) -> str:
        return ", ".join(Host.objects.filter(pk__in=run.avoided_hosts).values_list("name", flat=True)) or "–"

    @admin.display(description="figures of the error")
    def error_figures(self, run: Run) -> str:
        return words_of(run.error_detail)

    @labelled("status", STATES)
    def state(self, run: Run) -> tuple[str, str]:
        return run.status, run.get_status_display()

    def show_prompt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The prompt as it was frozen, and the answer: the words of others."""
        run = self.get_object(request, object_id)
        if run is None or not self.has_view_permission(request, run):
            raise Http404
        record_reading(request, run)
        title = "Prompt and answer"
        page = {"title": title, "here": title, "run": run, "original": run, "opts": self.opts}
        page |= self.admin_site.each_context(request)
        return render(request, "admin/agents/run/prompt.html", page)

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


def _seconds(begin: Any, end: Any) -> str:
    return "–" if begin is None or end is None else f"{(end - begin).total_seconds():.2f} s"


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Who is alive, and how much each of them writes now."""

    list_display = ["__str__", "running", "started_at", "seen_at"]
    fields = [("machine", "pid"), "running", ("started_at", "seen_at")]
    readonly_fields = ["running"]
    ordering = ["started_at"]

    def complete(self, rows: list[Any]) -> None:
        busy = Counter(Run.objects.running().order_by().values_list("worker", flat=True))
        for worker in rows:
            worker.number = busy[worker.pk]

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Worker | None:
        worker: Worker | None = super().get_object(request, object_id, from_field)
        if worker:
            self.complete([worker])
        return worker

    @admin.display(description="replies under way")
    def running(self, worker: Any) -> int:
        return int(worker.number)
