from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from agents.errors import AgentDisabled, ModelUnavailable, TooManyRuns
from agents.models import Agent, Run
from chat import conversations, replies
from chat.errors import BadText, NotPossible, StillWriting
from chat.models import Conversation, Message
from tests.chat.engine import end, end_run
from tests.chat.heard import events, sent_to_workers
from tests.factories import make_agent, make_conversation, make_message

Status = Message.Status


def counts() -> tuple[int, int]:
    return Message.objects.count(), Run.objects.count()


def test_ask_makes_question_reply_and_run_and_moves_the_conversation(conversation: Conversation) -> None:
    before = conversation.updated_at
    question, reply = replies.ask(conversation=conversation, text="What is a lease?")
    conversation.refresh_from_db()
    assert (question.role, question.parent, reply.parent) == ("user", None, question)
    assert (reply.status, reply.agent, conversation.head) == (Status.WRITING, conversation.agent, reply)
    assert conversation.title == "What is a lease?"
    assert conversation.updated_at > before
    run = Run.objects.get()
    assert reply.run == run
    assert (run.purpose, run.subject, run.topic) == ("chat.reply", reply.pk, f"chat:{conversation.pk}")
    assert run.owner == conversation.owner
    assert run.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is a lease?"},
    ]


def test_ask_says_on_commit_what_was_added(conversation: Conversation, said: Any) -> None:
    with said(execute=True):
        question, reply = replies.ask(conversation=conversation, text="What is a lease?")
    assert events(conversation.topic) == [
        {"type": "chat.message", "message": str(question.pk), "parent": None},
        {"type": "chat.message", "message": str(reply.pk), "parent": str(question.pk), "run": str(reply.run_id)},
    ]
    assert events(f"user:{conversation.owner_id}")[-1] == {
        "type": "chat.conversation",
        "conversation": str(conversation.pk),
        "change": "activity",
    }


def test_the_next_question_carries_the_branch_that_is_shown(conversation: Conversation) -> None:
    _, first = replies.ask(conversation=conversation, text="One?")
    end(first, text="Yes, one.")
    question, reply = replies.ask(conversation=conversation, text="Two?")
    assert question.parent == first
    assert reply.run is not None
    assert [message["content"] for message in reply.run.messages] == ["Be brief.", "One?", "Yes, one.", "Two?"]


def test_the_same_key_again_gives_the_same_rows_also_when_the_reply_is_done(conversation: Conversation) -> None:
    key = uuid4()
    first = replies.ask(conversation=conversation, text="One?", key=key)
    assert replies.ask(conversation=conversation, text="One?", key=key) == first
    end(first[1], text="Yes.")
    assert replies.ask(conversation=conversation, text="One?", key=key) == first
    assert Message.objects.count() == 2


def test_the_same_key_in_another_conversation_is_another_question(
    conversation: Conversation, alice: User, agent: Agent
) -> None:
    key = uuid4()
    replies.ask(conversation=conversation, text="One?", key=key)
    replies.ask(conversation=conversations.start(owner=alice, agent=agent), text="One?", key=key)
    assert Message.objects.count() == 4


def test_the_same_question_from_another_tab_is_one_question(conversation: Conversation) -> None:
    _, above = replies.ask(conversation=conversation, text="Zero?")
    end(above, text="No.")
    first = replies.ask(conversation=conversation, text="One?", key=uuid4(), parent=above)
    assert replies.ask(conversation=conversation, text="One?", key=uuid4(), parent=above) == first
    assert replies.ask(conversation=conversation, text="One?", key=uuid4()) == first


def test_another_question_while_the_reply_is_written_is_refused(conversation: Conversation) -> None:
    replies.ask(conversation=conversation, text="One?")
    before = counts()
    with pytest.raises(StillWriting, match="still being written"):
        replies.ask(conversation=conversation, text="Two?")
    assert counts() == before


def test_a_parent_of_another_conversation_is_refused(conversation: Conversation) -> None:
    foreign = make_message(make_conversation(agent=conversation.agent))
    with pytest.raises(NotPossible, match="another conversation"):
        replies.ask(conversation=conversation, text="One?", parent=foreign)


def test_a_question_under_an_earlier_reply_begins_a_branch(conversation: Conversation) -> None:
    _, first = replies.ask(conversation=conversation, text="One?")
    end(first, text="Yes.")
    _, second = replies.ask(conversation=conversation, text="Two?")
    end(second, text="Yes.")
    question, _ = replies.ask(conversation=conversation, text="Three?", parent=first)
    conversation.refresh_from_db()
    thread = conversations.thread(conversation)
    assert [message.text for message in thread] == ["One?", "Yes.", "Three?", ""]
    assert (thread[2].branch, thread[2].branches) == (2, 2)
    assert question.parent == first


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800"])
def test_a_question_that_is_refused_leaves_nothing(conversation: Conversation, text: str) -> None:
    with pytest.raises(BadText):
        replies.ask(conversation=conversation, text=text)
    assert counts() == (0, 0)


def refused_by_agent(settings: Any) -> None:
    Agent.objects.update(is_active=False)


def refused_by_model(settings: Any) -> None:
    Agent.objects.update(model="absent:1b")


def refused_by_limit(settings: Any) -> None:
    settings.QUEUED_PER_USER = 0


@pytest.mark.parametrize(
    ("spoil", "error"),
    [(refused_by_agent, AgentDisabled), (refused_by_model, ModelUnavailable), (refused_by_limit, TooManyRuns)],
)
def test_where_the_engine_refuses_nothing_is_kept(
    conversation: Conversation, settings: Any, spoil: Callable[[Any], None], error: type[Exception]
) -> None:
    spoil(settings)
    with pytest.raises(error):
        replies.ask(conversation=conversation, text="One?")
    conversation.refresh_from_db()
    assert (counts(), conversation.title, conversation.head) == ((0, 0), "", None)


def test_a_conversation_whose_agent_is_gone_says_so(conversation: Conversation, agent: Agent) -> None:
    agent.delete()
    with pytest.raises(AgentDisabled, match="gone"):
        replies.ask(conversation=conversation, text="One?")


def test_nothing_is_asked_in_a_deleted_conversation(conversation: Conversation) -> None:
    conversations.delete(conversation)
    with pytest.raises(NotPossible, match="deleted"):
        replies.ask(conversation=conversation, text="One?")


@pytest.mark.parametrize(
    ("status", "text"), [("done", "Yes."), ("interrupted", "Ye"), ("cancelled", "Y"), ("failed", "")]
)
def test_a_run_that_ends_leaves_its_text_and_its_status(conversation: Conversation, status: str, text: str) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, status=status, text=text, thinking="Hm.")
    assert (reply.status, reply.text, reply.thinking) == (status, text, "Hm.")


def test_a_run_that_ends_has_its_reply_rendered_and_said(conversation: Conversation, said: Any) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    with said(execute=True):
        end(reply, text="**Yes**")
    assert [event["type"] for event in events(conversation.topic)] == ["run.ended"]
    assert sent_to_workers() == [f"('{reply.pk}',)"]


def test_resume_keeps_the_text_and_shows_the_model_where_it_stopped(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="Count.")
    end(reply, status="interrupted", text="One, two,", thinking="First.")
    reply = replies.resume(reply)
    assert (reply.status, reply.text) == (Status.WRITING, "One, two,")
    assert reply.run is not None
    assert reply.run.messages[1:3] == [
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": "One, two,"},
    ]
    assert reply.run.messages[3]["role"] == "user"
    end(reply, text="three.", thinking="Then.")
    assert (reply.status, reply.text, reply.thinking) == (Status.DONE, "One, two, three.", "First.\n\nThen.")


def test_resume_of_a_reply_without_text_asks_the_question_again(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="Count.")
    end(reply, status="cancelled")
    reply = replies.resume(reply)
    assert reply.run is not None
    assert [message["role"] for message in reply.run.messages] == ["system", "user"]


def test_resume_while_writing_is_refused(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="Count.")
    with pytest.raises(StillWriting):
        replies.resume(reply)


def test_retry_after_a_failure_writes_the_same_message(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, status="failed", error_kind="host_unreachable", error="It is off.")
    assert (reply.error_kind, reply.error) == ("host_unreachable", "It is off.")
    again = replies.retry(reply)
    assert (again.pk, again.error, Run.objects.count()) == (reply.pk, "", 2)
    assert end(again, text="Yes.").text == "Yes."


def test_retry_after_a_break_begins_anew(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, status="interrupted", text="Perhaps")
    reply = replies.retry(reply)
    assert reply.text == ""
    assert end(reply, text="Yes.").text == "Yes."


def test_retry_after_a_failed_continuation_keeps_what_was_said_before(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="Count.")
    end(reply, status="interrupted", text="One,")
    reply = end(replies.resume(reply), status="failed", error="It is off.")
    assert reply.text == "One,"
    assert end(replies.retry(reply), text="two.").text == "One, two."


def test_retry_of_a_finished_reply_is_refused(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.")
    with pytest.raises(NotPossible, match="Regenerate"):
        replies.retry(reply)


def test_regenerate_makes_a_sibling_by_another_agent(conversation: Conversation) -> None:
    question, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.")
    other = make_agent("other", system_prompt="Be long.")
    second = replies.regenerate(reply, agent=other)
    conversation.refresh_from_db()
    assert (second.parent, second.agent, conversation.head) == (question, other, second)
    assert second.run is not None
    assert [message["content"] for message in second.run.messages] == ["Be long.", "One?"]
    assert [message.branches for message in conversations.thread(conversation)] == [1, 2]


def test_regenerate_twice_in_a_row_makes_one(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.")
    assert replies.regenerate(reply) == replies.regenerate(reply)
    assert Message.objects.count() == 3


def test_regenerate_while_writing_is_refused(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    with pytest.raises(StillWriting):
        replies.regenerate(reply)


@pytest.mark.parametrize("action", [replies.regenerate, replies.resume, replies.retry])
def test_what_is_for_replies_is_refused_for_questions(
    conversation: Conversation, action: Callable[[Message], object]
) -> None:
    question, reply = replies.ask(conversation=conversation, text="One?")
    Message.objects.filter(pk=question.pk).update(status=Status.FAILED)
    question.refresh_from_db()
    with pytest.raises(NotPossible, match="reply only"):
        action(question)


def test_edit_makes_a_sibling_with_a_reply_of_its_own(conversation: Conversation) -> None:
    question, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.")
    edited, second = replies.edit(question, text="Two?")
    conversation.refresh_from_db()
    assert (edited.parent, conversation.head) == (None, second)
    thread = conversations.thread(conversation)
    assert [(message.text, message.branch, message.branches) for message in thread] == [("Two?", 2, 2), ("", 1, 1)]


def test_edit_with_the_same_key_or_text_makes_one(conversation: Conversation) -> None:
    question, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.")
    key = uuid4()
    first = replies.edit(question, text="Two?", key=key)
    assert replies.edit(question, text="Two?", key=key) == first
    assert replies.edit(question, text="Two?") == first
    assert Message.objects.count() == 4


def test_edit_stops_what_was_being_written_below(conversation: Conversation, said: Any) -> None:
    question, reply = replies.ask(conversation=conversation, text="One?")
    with said(execute=True):
        _, second = replies.edit(question, text="Two?")
    reply.refresh_from_db()
    assert (reply.status, second.status) == (Status.CANCELLED, Status.WRITING)


def test_a_reply_is_not_edited(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    with pytest.raises(NotPossible, match="Only a question"):
        replies.edit(reply, text="Two?")


def test_stop_ends_a_waiting_reply_at_once_and_is_false_when_it_was_over(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    assert replies.stop(reply) is True
    reply.refresh_from_db()
    assert reply.status == Status.CANCELLED
    assert replies.stop(reply) is False


def test_a_run_of_a_message_that_is_gone_ends_in_peace(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    run = reply.run
    assert run is not None
    Conversation.objects.all().delete()
    end_run(run, text="Yes.")
    assert Run.objects.get(pk=run.pk).status == Run.Status.DONE


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"done_reason": "stop", "prompt_tokens": 10, "output_tokens": 5, "context_length": 15}, ""),
        (
            {"done_reason": "length", "prompt_tokens": 10, "output_tokens": 500, "context_length": 4096},
            "Stopped at the length limit of 500 tokens.",
        ),
        (
            {"done_reason": "length", "prompt_tokens": 3000, "output_tokens": 1095, "context_length": 4096},
            "The context is full: 4,095 of 4,096 tokens.",
        ),
    ],
)
def test_the_ending_says_why_a_reply_is_not_complete(
    conversation: Conversation, result: dict[str, Any], words: str
) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.", **result)
    assert reply.ending.startswith(words)
    assert bool(reply.ending) == bool(words)
