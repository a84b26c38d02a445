"""Prompts that the model's server finds too long: sent again without the oldest turns, or failed in words."""

from typing import Any

from agents.models import Run
from chat import replies
from chat.models import Conversation, Message
from tests.chat.engine import end, refuse
from tests.chat.heard import events

Status = Message.Status

LONG = "word " * 2000  # 10,000 characters: estimated as 2,506 tokens


def long_chat(conversation: Conversation) -> Message:
    """Three exchanges, the first two long, and the reply to a fourth question that is being written."""
    for number in range(3):
        _, reply = replies.ask(conversation=conversation, text=f"Question {number}")
        end(reply, text=LONG[: (2 - number) * 5000] or "Short.")
    return replies.ask(conversation=conversation, text="And now?")[1]


def test_a_prompt_that_was_refused_is_sent_again_without_the_oldest_turns(
    conversation: Conversation, said: Any
) -> None:
    conversation.agent.options = {"num_ctx": 8192}  # type: ignore[union-attr]
    conversation.agent.save()  # type: ignore[union-attr]
    reply = long_chat(conversation)
    first = reply.run
    assert first is not None
    assert (reply.trimmed, len(first.messages)) == (0, 8)
    with said(execute=True):
        refuse(reply, n_prompt_tokens=6000, n_ctx=4096)
    assert (reply.status, reply.trimmed, reply.refusals) == (Status.WRITING, 2, 1)
    assert reply.run is not None
    assert reply.run != first
    assert reply.run.messages == [first.messages[0], *first.messages[3:]]
    assert events(conversation.topic)[0]["run"] == str(reply.run_id)
    end(reply, text="Now.")
    assert (reply.status, reply.text, reply.trimmed) == (Status.DONE, "Now.", 2)


def test_a_question_that_does_not_fit_by_itself_fails_with_the_figures(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="word " * 6000)
    refuse(reply, n_prompt_tokens=6010, n_ctx=4096)
    assert (reply.status, Run.objects.count()) == (Status.FAILED, 1)
    assert "6,010 tokens; 4,096 fit" in reply.error
    assert "Shorten or split it" in reply.error


def test_after_three_refusals_the_reply_fails_in_words(conversation: Conversation) -> None:
    for number in range(6):
        _, reply = replies.ask(conversation=conversation, text=f"Question {number}")
        end(reply, text="word " * 400)
    _, reply = replies.ask(conversation=conversation, text="And now?")
    for tokens in (4200, 4100):
        refuse(reply, n_prompt_tokens=tokens, n_ctx=4096)
        assert reply.status == Status.WRITING
    refuse(reply, n_prompt_tokens=4097, n_ctx=4096)
    assert (reply.status, reply.refusals) == (Status.FAILED, 3)
    assert "however much of it was left out" in reply.error


def test_asking_again_after_three_refusals_begins_to_count_anew(conversation: Conversation) -> None:
    test_after_three_refusals_the_reply_fails_in_words(conversation)
    reply = Message.objects.get(status=Status.FAILED)
    reply = replies.retry(reply)
    assert (reply.status, reply.refusals) == (Status.WRITING, 0)


def test_a_shorter_prompt_that_is_refused_by_a_limit_fails_in_its_words(
    conversation: Conversation, settings: Any
) -> None:
    reply = long_chat(conversation)
    settings.QUEUED_PER_USER = 0
    refuse(reply, n_prompt_tokens=6000, n_ctx=4096)
    assert reply.status == Status.FAILED
    assert reply.error == "An admin has switched this off: the limit is 0."


def test_what_was_refused_in_a_deleted_conversation_is_not_sent_again(conversation: Conversation) -> None:
    reply = long_chat(conversation)
    Conversation.objects.update(deleted_at=conversation.created_at)
    assert refuse(reply, n_prompt_tokens=6000, n_ctx=4096).status == Status.FAILED
