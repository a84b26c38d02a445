import pytest
from django.contrib.auth.models import AnonymousUser, User

from agents import queue
from agents.models import Run
from chat import conversations, replies
from chat.models import Conversation
from chat.topics import fingerprint, may_attach, snapshot
from lobby.live.connections import sync_redis
from lobby.live.topics import TOPICS
from tests.chat.engine import claim, end


def test_the_topic_is_registered() -> None:
    assert (TOPICS["chat"].may_attach, TOPICS["chat"].snapshot) == (may_attach, snapshot)


def test_only_the_owner_may_attach_and_only_while_it_is_there(
    conversation: Conversation, alice: User, bob: User
) -> None:
    id = str(conversation.pk)
    assert may_attach(alice, id) is True
    assert may_attach(bob, id) is False
    assert may_attach(AnonymousUser(), id) is False
    conversations.delete(conversation)
    assert may_attach(alice, id) is False


@pytest.mark.parametrize("id", ["7", "", "x", "00000000-0000-0000-0000-000000000000", "a\0b"])
def test_what_is_no_conversation_is_nobodys(alice: User, id: str) -> None:
    assert may_attach(alice, id) is False


def test_the_snapshot_of_a_waiting_reply_has_its_place(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    assert snapshot(str(conversation.pk))["runs"][0]["position"] is None
    sync_redis().hset(queue.POSITIONS, str(reply.run_id), "3")
    conversation.refresh_from_db()
    assert snapshot(str(conversation.pk)) == {
        "type": "snapshot",
        "runs": [
            {
                "run": str(reply.run_id),
                "message": str(reply.pk),
                "status": "queued",
                "attempt": 0,
                "text": "",
                "thinking": "",
                "position": 3,
                "cursor": "",
                "model": "smollm2:135m",
                "host": None,
                "stopping": False,
                "prefix_length": 0,
            }
        ],
        "thread": fingerprint(conversation),
        "title": conversation.title,
    }


def test_the_snapshot_of_a_running_reply_has_text_and_cursor_taken_together(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, status="interrupted", text="One, two,")
    reply = replies.resume(reply)
    [run] = [run for run in claim(cursor="5-0") if run == reply.run]
    Run.objects.filter(pk=run.pk).update(text="three", thinking="Hm", cursor="6-1")
    [live] = snapshot(str(conversation.pk))["runs"]
    assert (live["status"], live["attempt"], live["text"], live["thinking"]) == ("running", 1, "three", "Hm")
    assert (live["cursor"], live["prefix_length"], live["host"]) == ("6-1", 9, run.host and run.host.name)


def test_the_snapshot_of_a_finished_reply_has_no_runs(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.")
    assert snapshot(str(conversation.pk))["runs"] == []


def test_the_fingerprint_changes_with_the_branch_that_is_shown(conversation: Conversation) -> None:
    seen = [fingerprint(conversation)]

    def note() -> None:
        conversation.refresh_from_db()
        seen.append(fingerprint(conversation))

    _, reply = replies.ask(conversation=conversation, text="One?")
    note()
    end(reply, text="Yes.")
    note()
    replies.regenerate(reply)
    note()
    conversations.switch(conversation, message=reply)
    note()
    assert len(set(seen)) == 5
    note()
    assert seen[-1] == seen[-2]
