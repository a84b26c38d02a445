"""How much text the chats of a user may hold."""

from typing import Any

import pytest
from django.db import connection

from agents.models import Agent, Run
from chat import conversations, replies, storage
from chat.errors import StorageFull
from chat.models import Conversation, Message
from lobby.accounts.allowances import METERS, Kind, Scope
from lobby.accounts.models import Limit
from tests.chat.engine import end
from tests.factories import make_conversation

pytestmark = pytest.mark.django_db

MEGABYTE = 1_000_000


def hold(value: int | None, scope: str = Scope.EACH) -> None:
    Limit.objects.update_or_create(kind=Kind.STORAGE, scope=scope, defaults={"value": value})


def fill(conversation: Conversation, *, megabytes: float) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(stored=int(megabytes * MEGABYTE))


def stored(conversation: Conversation) -> int:
    return Conversation.objects.get(pk=conversation.pk).stored


def kept(conversation: Conversation) -> int:
    """Counted from its messages."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(octet_length(text) + octet_length(thinking)) FROM chat_message WHERE conversation_id = %s",
            [conversation.pk],
        )
        return int(cursor.fetchone()[0])


def test_a_conversation_knows_what_its_messages_hold(conversation: Conversation) -> None:
    question, reply = replies.ask(conversation=conversation, text="Wie spät ist es? 🕰")
    end(reply, text="Zwölf.", thinking="Hm…")
    assert stored(conversation) == kept(conversation) == len("Wie spät ist es? 🕰Zwölf.Hm…".encode())
    reply = replies.resume(Message.objects.get(pk=reply.pk))
    end(reply, text=" Mittag.", status=Run.Status.CANCELLED)
    reply = replies.retry(Message.objects.get(pk=reply.pk))
    assert stored(conversation) == kept(conversation) == storage.of_message(question)
    end(reply, text="Eins.")
    replies.edit(question, text="Why?")
    assert stored(conversation) == kept(conversation)


def test_a_question_for_which_there_is_no_room_is_refused_and_says_what_to_do(conversation: Conversation) -> None:
    hold(1)
    fill(conversation, megabytes=0.999_99)
    with pytest.raises(StorageFull) as refused:
        replies.ask(conversation=conversation, text="x" * 11)
    assert refused.value.message == (
        "Your chats hold 1 MB of text, the limit. Delete what you no longer need: the bin does not count."
    )
    assert (refused.value.kind, refused.value.limit, Message.objects.count()) == ("storage_full", "storage", 0)
    assert replies.ask(conversation=conversation, text="x" * 10)


@pytest.mark.parametrize("again", [replies.regenerate, replies.resume])
def test_nothing_more_is_written_where_all_room_is_taken(conversation: Conversation, again: Any) -> None:
    _, reply = replies.ask(conversation=conversation, text="Why?")
    end(reply, text="So.")
    hold(1)
    fill(conversation, megabytes=1)
    with pytest.raises(StorageFull):
        again(Message.objects.get(pk=reply.pk))


def test_all_chats_of_a_user_count_and_those_of_others_do_not(conversation: Conversation, agent: Agent) -> None:
    hold(1)
    fill(make_conversation(owner=conversation.owner, agent=agent), megabytes=1)
    other = Conversation.objects.exclude(pk=conversation.pk).get()
    with pytest.raises(StorageFull):
        replies.ask(conversation=conversation, text="Why?")
    conversations.delete(other)
    replies.ask(conversation=conversation, text="Why?")
    assert METERS[Kind.STORAGE](conversation.owner_id).number == 4


def test_the_room_of_all_together_counts_the_bin_too(conversation: Conversation, agent: Agent) -> None:
    hold(1, Scope.INSTALLATION)
    other = make_conversation(owner=conversation.owner, agent=agent)
    fill(other, megabytes=1)
    conversations.delete(other)
    with pytest.raises(StorageFull, match="All chats of this lobby together hold 1 MB"):
        replies.ask(conversation=conversation, text="Why?")
    assert METERS[Kind.STORAGE](None).number == MEGABYTE


def test_no_limit_is_no_limit(conversation: Conversation, settings: Any) -> None:
    settings.STORAGE_MB = None
    fill(conversation, megabytes=10_000)
    assert replies.ask(conversation=conversation, text="Why?")


@pytest.mark.parametrize("text", ["", "abc", "é", "🕰" * 3])
def test_size_is_what_the_database_keeps(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT octet_length(%s)", [text])
        assert cursor.fetchone() == (storage.size(text),)
