from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminNullBooleanSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from agents import trials
from agents.admin.options import OptionsField
from agents.clones import clone
from agents.errors import Refused
from agents.models import Agent, Host
from lobby import audit
from lobby.problems import problem
from lobby.site import RecordedAdmin, button

HELP = {
    "slug": "Its name in addresses and after @: small letters, digits and hyphens.",
    "description": "One line, shown in the lobby.",
    "is_active": "May be asked, and sit in new debates.",
    "think": "Whether it thinks before it answers, where its model can.",
    "position": "The lower, the further ahead in lists.",
    "initials": "One or two letters, shown on its colour.",
}
THINKING = [("unknown", "as the model does by itself"), ("true", "thinks first"), ("false", "answers at once")]


class ThinkingWidget(UnfoldAdminNullBooleanSelectWidget):  # type: ignore[misc]
    def __init__(self, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.choices = THINKING


class TrialForm(forms.ModelForm):  # type: ignore[type-arg]
    """What the change form holds at the moment, unsaved, and a prompt."""

    options = OptionsField()
    prompt = forms.CharField(
        max_length=trials.LONGEST, error_messages={"required": "Write something to try the agent with."}
    )

    class Meta:
        model = Agent
        fields = ["system_prompt", "model", "host", "options", "think"]


@admin.register(Agent)
class AgentAdmin(RecordedAdmin):
    list_display = ["name", "slug", "role", "its_model", "its_host", "is_active", "votes", "position"]
    list_filter = ["is_active", "role"]
    list_select_related = ["host"]
    search_fields = ["name", "slug", "description"]
    prepopulated_fields = {"slug": ["name"]}
    actions = ["enable", "disable", "clone"]
    actions_submit_line = ["save_and_clone"]
    change_form_outer_after_template = "admin/agents/agent/try.html"
    fieldsets = [
        (None, {"fields": [("name", "slug"), ("role", "is_active"), "description", "system_prompt"]}),
        ("Model", {"fields": [("model", "host"), ("options", "think")]}),
        ("In debates and on pages", {"fields": [("votes", "position"), ("initials", "colour")]}),
    ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        match db_field.name:
            case "model":
                options["widget"] = UnfoldAdminTextInputWidget(attrs={"list": "models-there-are"})
            case "options":
                return OptionsField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
            case "think":
                options["widget"] = ThinkingWidget()
            case "colour":
                options["widget"] = UnfoldAdminTextInputWidget(attrs={"type": "color"})
        if words := HELP.get(db_field.name):
            options["help_text"] = words
        return super().formfield_for_dbfield(db_field, request, **options)

    @admin.display(description="model", ordering="model")
    def its_model(self, agent: Agent) -> str:
        return agent.model or "the first there is"

    @admin.display(description="host", ordering="host__name")
    def its_host(self, agent: Agent) -> str:
        return str(agent.host or "any")

    def get_urls(self) -> list[URLPattern]:
        one = self.admin_site.admin_view(require_POST(self.try_prompt))
        return [path("<path:object_id>/try/", one, name="agents_agent_try"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        models = {name for host in Host.objects.enabled() for name in host.model_names}
        context = {"models_there_are": sorted(models), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def try_prompt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answers with the run and the topic on which it speaks."""
        agent = self.get_object(request, object_id)
        if agent is None or not self.has_change_permission(request, agent):
            raise Http404
        form = TrialForm(request.POST, instance=agent)
        if not form.is_valid():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, _words(form), kind="invalid")
        try:
            run = trials.begin(form.instance, form.cleaned_data["prompt"], owner=request.user)
        except Refused as error:
            return problem(error.status, error.message, kind=error.kind, retry_after=error.retry_after)
        audit.record("agent.tried", request=request, subject=agent, run=str(run.pk))
        return JsonResponse({"run": str(run.pk), "topic": run.topic, "model": run.model})

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self.switch(request, queryset, action="enabled", is_active=True)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self.switch(request, queryset, action="disabled", is_active=False)

    @admin.action(description="Clone", permissions=["add"])
    def clone(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            self._clone(request, agent)

    def has_clone_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Under a name of its own: of one with a dot a check asks the database, which a new one could not answer."""
        return bool(self.has_add_permission(request))

    @button("Save and clone", permission="clone")
    def save_and_clone(self, request: HttpRequest, obj: Agent) -> None:
        self._clone(request, obj)

    def _clone(self, request: HttpRequest, agent: Agent) -> None:
        copy = clone(agent)
        audit.record("agent.cloned", request=request, subject=copy, of=str(agent.pk))
        words = f"{copy.name} has been made as {copy.slug}. It is inactive until you have looked at it."
        self.message_user(request, words, messages.SUCCESS)


def _words(form: TrialForm) -> str:
    """What is wrong with each field, in one line."""
    wrong = form.errors.get_json_data()
    said = (f"{name.replace('_', ' ').capitalize()}: {each['message']}" for name in wrong for each in wrong[name])
    return " ".join(said)
