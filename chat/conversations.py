"""Conversations: begun, named, put away, found again; and the branch of the tree that one shows."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from agents import runs
from agents.errors import AgentDisabled
from agents.models import Agent, Run
from agents.pages import BadCursor
from chat import tree
from chat.errors import NotPossible
from chat.events import say_conversation, say_message, say_title
from chat.models import Conversation, Message
from chat.search import search
from chat.text import clean_title

__all__ = [
    "delete",
    "forget",
    "pin",
    "place",
    "rename",
    "restore",
    "search",
    "set_agent",
    "start",
    "switch",
    "thread",
    "thread_page",
]


def start(*, owner: User, agent: Agent, id: UUID | None = None) -> Conversation:
    """A conversation without messages. With an `id` of the caller's own, asking twice makes one.

    Raises AgentDisabled; NotPossible if the id is taken.
    """
    _check(agent)
    try:
        with transaction.atomic():
            conversation = Conversation.objects.create(pk=id or uuid4(), owner=owner, agent=agent)
            say_conversation(conversation, "created")
    except IntegrityError:
        known = id and Conversation.objects.visible_to(owner).filter(pk=id).first()
        if not known:
            raise NotPossible("This id is taken already; choose another.") from None
        return known
    return conversation


def _check(agent: Agent) -> None:
    if not agent.is_active:
        raise AgentDisabled(f"{agent.name} is switched off. Choose another agent.")


def rename(conversation: Conversation, *, title: str) -> None:
    """Raises BadText, TextTooLong."""
    with transaction.atomic():
        _change(conversation, title=clean_title(title), is_titled=True)
        say_title(conversation)


def pin(conversation: Conversation, *, pinned: bool) -> None:
    with transaction.atomic():
        _change(conversation, is_pinned=pinned)
        say_conversation(conversation, "pinned")


def set_agent(conversation: Conversation, *, agent: Agent) -> None:
    """Who answers the next question. Raises AgentDisabled."""
    _check(agent)
    with transaction.atomic():
        _change(conversation, agent=agent)
        say_conversation(conversation, "activity")


def delete(conversation: Conversation) -> None:
    """Into the bin; what is being written is stopped."""
    with transaction.atomic():
        _change(conversation, deleted_at=Now())
        say_conversation(conversation, "deleted")
    for run in Run.objects.unfinished().filter(topic=conversation.topic, owner_id=conversation.owner_id):
        runs.cancel(run)


def restore(conversation: Conversation) -> None:
    with transaction.atomic():
        _change(conversation, deleted_at=None)
        say_conversation(conversation, "restored")


def forget(*, before: Combinable, at_once: int = 100) -> int:
    """Delete for good, runs and all, what was deleted before that time. How many conversations that were.

    One transaction takes `at_once` of them.
    """
    forgotten = 0
    while number := _forget_some(before, at_once):
        forgotten += number
    return forgotten


@transaction.atomic
def _forget_some(before: Combinable, most: int) -> int:
    rows = Conversation.objects.select_for_update().filter(deleted_at__lt=before)
    ids = list(rows.values_list("pk", flat=True)[:most])
    subjects = [*ids, *Message.objects.filter(conversation__in=ids).values_list("pk", flat=True)]
    Conversation.objects.filter(pk__in=ids).delete()
    Run.objects.filter(subject__in=subjects).delete()
    return len(ids)


def _change(conversation: Conversation, **fields: object) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(**fields)
    conversation.refresh_from_db(fields=list(fields))


def switch(conversation: Conversation, *, message: Message) -> None:
    """Show the branch that goes through `message`, down to what was written last. Raises NotPossible."""
    shape = tree.read(conversation)
    if message.pk not in shape.nodes:
        raise NotPossible("This message is of another conversation.")
    with transaction.atomic():
        _change(conversation, head_id=shape.newest_leaf(message.pk))
        say_message(message)


def thread(conversation: Conversation, *, last: int | None = None, before: UUID | None = None) -> list[Message]:
    """The messages of the branch that is shown, from the first question on; or only the `last` so many of them, or of
    those above the message `before`.

    Each knows its place (`siblings`, `branch`, `branches`); its run and agent are fetched.
    """
    shape = tree.read(conversation)
    path = shape.path(conversation.head_id)
    if before in path:
        path = path[: path.index(before)]
    return _fetch(shape, path[-last:] if last else path)


def thread_page(conversation: Conversation, *, after: str, size: int) -> tuple[list[Message], str | None]:
    """At most `size` messages of the branch that is shown, below the message `after`, and where to go on.

    Raises BadCursor.
    """
    shape = tree.read(conversation)
    path = shape.path(conversation.head_id)
    if after:
        ids = [str(id) for id in path]
        if after not in ids:
            raise BadCursor("The cursor is not of the branch that is shown; start without one.")
        path = path[ids.index(after) + 1 :]
    return _fetch(shape, path[:size]), str(path[size - 1]) if len(path) > size else None


def place(message: Message) -> Message:
    """The same message as `thread` gives it."""
    return _fetch(tree.read(message.conversation), [message.pk])[0]


def _fetch(shape: tree.Tree, ids: Sequence[UUID]) -> list[Message]:
    found = Message.objects.with_run().in_bulk(ids)
    messages = [found[id] for id in ids if id in found]
    shape.place(*messages)
    return messages
