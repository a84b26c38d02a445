from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from agents.models import Run
from chat import conversations, replies, tasks
from chat.models import Conversation, Message
from tests.chat.engine import end
from tests.chat.heard import events, sent_to_workers


def test_render_reply_keeps_the_html_and_says_so(conversation: Conversation, said: Any) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="**Yes**")
    with said(execute=True):
        tasks.render_reply(str(reply.pk))
    reply.refresh_from_db()
    assert reply.html == "<p><strong>Yes</strong></p>\n"
    assert events(conversation.topic)[-1]["message"] == str(reply.pk)


def test_render_reply_of_a_message_that_is_gone_does_nothing(conversation: Conversation) -> None:
    tasks.render_reply(str(conversation.pk))
    assert events(conversation.topic) == []


def test_what_a_lost_message_left_unrendered_is_rendered(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="[a]: https://a.example")
    _, second = replies.ask(conversation=conversation, text="Two?")
    end(second, text="**Yes**")
    replies.ask(conversation=conversation, text="Three?")
    tasks.render_missed()
    assert sent_to_workers() == [f"('{reply.pk}',)", f"('{second.pk}',)"]
    for id in (reply.pk, second.pk):
        tasks.render_reply(str(id))
    html = Message.objects.exclude(html="").order_by("created_at").values_list("html", flat=True)
    assert list(html) == ["<p></p>", "<p><strong>Yes</strong></p>\n"]
    tasks.render_missed()
    assert len(sent_to_workers()) == 2


@pytest.mark.parametrize(("days", "left"), [(29, 1), (31, 0)])
def test_the_bin_is_emptied_after_30_days(conversation: Conversation, days: int, left: int) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.")
    conversations.delete(conversation)
    Conversation.objects.update(deleted_at=F("deleted_at") - timedelta(days=days))
    tasks.empty_bin()
    assert (Conversation.objects.count(), Message.objects.count(), Run.objects.count()) == (left, 2 * left, 2 * left)


def test_a_bin_that_is_kept_for_ever_is_not_emptied(conversation: Conversation, settings: Any) -> None:
    settings.KEEP_DELETED = 0
    Conversation.objects.update(deleted_at=Now() - timedelta(days=4000))
    tasks.empty_bin()
    assert Conversation.objects.get() == conversation


def test_the_bin_is_emptied_in_as_many_steps_as_it_takes(conversation: Conversation) -> None:
    for _ in range(5):
        Conversation.objects.create(owner=conversation.owner, deleted_at=Now() - timedelta(days=40))
    assert conversations.forget(before=Now() - timedelta(days=30), at_once=2) == 5
    assert Conversation.objects.get() == conversation
