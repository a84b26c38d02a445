from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status

from agents.models import Agent
from agents.pages import page
from agents.schemas import Place
from chat import conversations, replies, schemas
from chat.errors import UnknownAgent
from chat.models import Conversation, Message
from lobby import audit
from lobby.accounts.permissions import CHAT, require

router = Router()


class AuthenticatedRequest(HttpRequest):
    user: User


@router.get("/conversations", response=schemas.Conversations, tags=["conversations"])
def list_conversations(
    request: AuthenticatedRequest, filters: Query[schemas.ConversationFilter], place: Query[Place]
) -> dict[str, Any]:
    """Yours, pinned ones first, then by their last activity; or, with `q`, those in which all its words occur."""
    if filters.q.strip():
        return {"items": conversations.search(owner=request.user, query=filters.q), "next": None}
    return page(_mine(request), by=("is_pinned", "updated_at", "id"), cursor=place.cursor, size=place.size)


@router.post("/conversations", response={201: schemas.Conversation}, tags=["conversations"])
def start_conversation(request: AuthenticatedRequest, start: schemas.ConversationStart) -> Status[Conversation]:
    require(request.user, CHAT)
    conversation = conversations.start(owner=request.user, agent=_agent(start.agent), id=start.id)
    return Status(201, _conversation(request, conversation.pk))


@router.get("/conversations/{id}", response=schemas.Conversation, tags=["conversations"])
def get_conversation(request: AuthenticatedRequest, id: UUID) -> Conversation:
    return _conversation(request, id)


@router.patch("/conversations/{id}", response=schemas.Conversation, tags=["conversations"])
def change_conversation(request: AuthenticatedRequest, id: UUID, change: schemas.ConversationChange) -> Conversation:
    """Rename, pin, hand to another agent, show another branch: all of what is named, or nothing."""
    conversation = _conversation(request, id)
    with transaction.atomic():
        _change(request, conversation, change)
    return _conversation(request, id)


def _change(request: AuthenticatedRequest, conversation: Conversation, change: schemas.ConversationChange) -> None:
    if change.title is not None:
        conversations.rename(conversation, title=change.title)
    if change.is_pinned is not None:
        conversations.pin(conversation, pinned=change.is_pinned)
    if change.agent is not None:
        conversations.set_agent(conversation, agent=_agent(change.agent))
    if change.head is not None:
        conversations.switch(conversation, message=_message(request, change.head))


@router.delete("/conversations/{id}", response={204: None}, tags=["conversations"])
def delete_conversation(request: AuthenticatedRequest, id: UUID) -> Status[None]:
    """Into the bin, where it stays for LOBBY_KEEP_DELETED days; what is being written is stopped."""
    conversation = _conversation(request, id)
    conversations.delete(conversation)
    audit.record("conversation.deleted", request=request, subject=conversation)
    return Status(204, None)


@router.post("/conversations/{id}/restore", response=schemas.Conversation, tags=["conversations"])
def restore_conversation(request: AuthenticatedRequest, id: UUID) -> Conversation:
    conversations.restore(get_object_or_404(Conversation.objects.of(request.user), pk=id))
    return _conversation(request, id)


@router.get("/conversations/{id}/messages", response=schemas.Messages, tags=["messages"])
def list_messages(request: AuthenticatedRequest, id: UUID, place: Query[Place]) -> dict[str, Any]:
    """The branch that is shown, from its first question on."""
    found, more = conversations.thread_page(_conversation(request, id), after=place.cursor, size=place.size)
    return {"items": found, "next": more}


@router.post("/conversations/{id}/messages", response={201: schemas.Exchange}, tags=["messages"])
def ask(request: AuthenticatedRequest, id: UUID, question: schemas.QuestionBelow) -> Status[dict[str, Message]]:
    """Ask; the reply is written from now on, live on the topic `chat:<conversation>`."""
    require(request.user, CHAT)
    parent = _message(request, question.parent) if question.parent else None
    named = Conversation(pk=id, owner=request.user)
    try:
        exchange = replies.ask(conversation=named, text=question.text, key=question.key, parent=parent)
    except Conversation.DoesNotExist as error:
        raise Http404 from error
    return Status(201, _exchange(exchange))


@router.get("/messages/{id}", response=schemas.Message, tags=["messages"])
def get_message(request: AuthenticatedRequest, id: UUID) -> Message:
    return conversations.place(_message(request, id))


@router.post("/messages/{id}/edit", response={201: schemas.Exchange}, tags=["messages"])
def edit(request: AuthenticatedRequest, id: UUID, question: schemas.Question) -> Status[dict[str, Message]]:
    """Ask a question differently: a sibling of it, with a reply of its own."""
    require(request.user, CHAT)
    return Status(201, _exchange(replies.edit(_message(request, id), text=question.text, key=question.key)))


@router.post("/messages/{id}/regenerate", response={201: schemas.Message}, tags=["messages"])
def regenerate(request: AuthenticatedRequest, id: UUID, by: schemas.Regeneration) -> Status[Message]:
    """Another reply to the same question, beside this one."""
    require(request.user, CHAT)
    agent = _agent(by.agent) if by.agent else None
    return Status(201, conversations.place(replies.regenerate(_message(request, id), agent=agent)))


@router.post("/messages/{id}/continue", response=schemas.Message, tags=["messages"])
def go_on(request: AuthenticatedRequest, id: UUID) -> Message:
    """Go on where a reply ended; what it said stays."""
    require(request.user, CHAT)
    return conversations.place(replies.resume(_message(request, id)))


@router.post("/messages/{id}/retry", response=schemas.Message, tags=["messages"])
def retry(request: AuthenticatedRequest, id: UUID) -> Message:
    """Write a reply that failed, was stopped or broke off once more."""
    require(request.user, CHAT)
    return conversations.place(replies.retry(_message(request, id)))


@router.post("/messages/{id}/stop", response=schemas.Message, tags=["messages"])
def stop(request: AuthenticatedRequest, id: UUID) -> Message:
    """Stop writing a reply; what was said stays. `run.ended` on the topic says when it has stopped."""
    message = _message(request, id)
    replies.stop(message)
    return conversations.place(message)


def _conversation(request: AuthenticatedRequest, id: UUID) -> Conversation:
    return get_object_or_404(_mine(request), pk=id)


def _mine(request: AuthenticatedRequest) -> QuerySet[Conversation]:
    """The slug is all that is told of the agent: no row is read for it."""
    return Conversation.objects.visible_to(request.user).with_state().select_related(None)


def _message(request: AuthenticatedRequest, id: UUID) -> Message:
    return get_object_or_404(Message.objects.visible_to(request.user).select_related("conversation", "agent"), pk=id)


def _agent(slug: str) -> Agent:
    agent = Agent.objects.filter(slug=slug).first()
    if agent is None:
        raise UnknownAgent(f"There is no agent “{slug[:80]}”.")
    return agent


def _exchange(exchange: replies.Exchange) -> dict[str, Message]:
    question, reply = exchange
    return {"question": question, "reply": reply}
