"""Pages and the fragments that keep them fresh; what people do goes through the REST API."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from agents.colours import stylesheet
from agents.models import Agent
from agents.presence import look
from chat import context, conversations
from chat.models import Conversation, Message
from chat.shown import Thread, agents_for, listed, one
from lobby.accounts.standing import nearest
from lobby.ids import as_uuid

RECENT = 8


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    sidebar = listed(request.user)
    desk = look(list(Agent.objects.visible_to(request.user)))
    return render(request, "home.html", sidebar | {"desk": desk, "recent": sidebar["conversations"][:RECENT]})


@require_safe
@login_required
def chat(request: HttpRequest) -> HttpResponse:
    """The conversation that was active last, or an empty one."""
    newest = Conversation.objects.visible_to(request.user).begun().order_by("-updated_at").first()
    return redirect("conversation", newest.pk) if newest else redirect("new-chat")


@require_safe
@login_required
def new_chat(request: HttpRequest, slug: str | None = None) -> HttpResponse:
    agents = agents_for(request.user)
    if slug is None and not agents:
        return render(request, "chat/empty.html", listed(request.user))
    agent = get_object_or_404(Agent.objects.visible_to(request.user), slug=slug) if slug else agents[0]
    return _page(request, agent=agent, agents=agents)


@require_safe
@login_required
def conversation(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Conversation.objects.visible_to(request.user).select_related("agent"), pk=pk)
    agents = agents_for(request.user)
    shown = Thread.of(found)
    agent = found.agent or (agents[0] if agents else Agent(name="Nobody", initials="–"))
    return _page(request, agent=agent, agents=agents, conversation=found, **shown.context())


def _page(request: HttpRequest, **about: Any) -> HttpResponse:
    return render(request, "chat/conversation.html", listed(request.user) | _room(request) | about)


def _room(request: HttpRequest) -> dict[str, Any]:
    """What the composer says of limits before they are met."""
    return {"limit": settings.MAX_QUESTION, "near": nearest(request.user.pk)}  # type: ignore[arg-type]


@require_safe
@login_required
def thread(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Conversation.objects.visible_to(request.user).select_related("agent"), pk=pk)
    before = as_uuid(request.GET.get("before", ""))
    return render(request, "chat/thread_fragment.html", Thread.of(found, before=before).context())


@require_safe
@login_required
def message(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = Message.objects.visible_to(request.user).select_related("conversation__agent")
    said = conversations.place(get_object_or_404(found, pk=pk))
    meter = context.meter(said.conversation, path=conversations.thread(said.conversation, last=2))
    return render(request, "chat/message_fragment.html", {"message": one(said), "meter": meter})


@require_safe
@login_required
def sidebar(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:200]
    limit = request.GET.get("limit", "")
    return render(request, "chat/conversations.html", listed(request.user, query=query, limit=limit))


@require_safe
@login_required
@cache_control(private=True, max_age=60)
def agents_css(request: HttpRequest) -> HttpResponse:
    """Each agent's colour, for the policy of the pages forbids styles in HTML."""
    colours = Agent.objects.values_list("slug", "colour")
    return HttpResponse(stylesheet("data-agent", colours), content_type="text/css")
