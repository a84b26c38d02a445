from typing import Any

import pytest

from agents.models import Run
from chat import conversations, replies, titles
from chat.models import Conversation, Message
from tests.chat.engine import end, end_run, refuse
from tests.chat.heard import events


def answer(conversation: Conversation, *, question: str = "What is a lease?", **result: Any) -> Message:
    _, reply = replies.ask(conversation=conversation, text=question)
    return end(reply, **{"text": "A lease is a right for a time.", **result})


def title_run() -> Run:
    return Run.objects.get(purpose="chat.title")


def test_the_first_answer_asks_for_a_title(conversation: Conversation, said: Any) -> None:
    answer(conversation)
    run = title_run()
    assert (run.subject, run.topic, run.priority, run.think) == (conversation.pk, "", Run.Priority.BACKGROUND, False)
    assert run.options == {"num_predict": 32, "temperature": 0.2}
    with said(execute=True):
        end_run(run, text='**Title: "What a lease is."**\n')
    conversation.refresh_from_db()
    assert (conversation.title, conversation.is_titled) == ("What a lease is", True)
    assert events(conversation.topic)[-1] == {"type": "chat.title", "title": "What a lease is"}
    assert events(f"user:{conversation.owner_id}")[-1]["change"] == "renamed"


def test_the_model_reads_the_beginnings_only(conversation: Conversation) -> None:
    answer(conversation, question="q" * 5000, text="a" * 5000)
    [message] = title_run().messages
    assert message["content"].count("q" * 1000) == message["content"].count("a" * 1000) == 1
    assert len(message["content"]) < 2300


def test_a_title_is_asked_for_once(conversation: Conversation) -> None:
    answer(conversation)
    end_run(title_run(), text="")
    answer(conversation, question="And a fence?")
    assert title_run().text == ""
    conversation.refresh_from_db()
    assert conversation.title == "What is a lease?"


@pytest.mark.parametrize("status", ["failed", "cancelled", "interrupted"])
def test_a_reply_that_is_not_finished_asks_for_no_title(conversation: Conversation, status: str) -> None:
    answer(conversation, status=status)
    assert Run.objects.filter(purpose="chat.title").count() == 0


def test_a_title_that_a_person_gave_stays(conversation: Conversation) -> None:
    answer(conversation)
    conversations.rename(conversation, title="Mine")
    end_run(title_run(), text="Theirs")
    conversation.refresh_from_db()
    assert conversation.title == "Mine"


def test_a_named_conversation_asks_for_no_title(conversation: Conversation) -> None:
    conversations.rename(conversation, title="Mine")
    answer(conversation)
    assert Run.objects.filter(purpose="chat.title").count() == 0


def test_where_the_engine_refuses_the_answer_stands_without_a_title(conversation: Conversation, settings: Any) -> None:
    _, reply = replies.ask(conversation=conversation, text="What is a lease?")
    settings.TOKENS_PER_DAY = 0
    assert end(reply, text="A right.").status == Message.Status.DONE


def test_a_refused_prompt_asks_for_no_title(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="What is a lease?")
    refuse(reply, n_prompt_tokens=5000, n_ctx=4096)
    assert Run.objects.filter(purpose="chat.title").count() == 0


@pytest.mark.parametrize("status", ["failed", "interrupted", "cancelled"])
def test_a_title_run_that_fails_leaves_the_first_words(conversation: Conversation, status: str) -> None:
    answer(conversation)
    end_run(title_run(), status=status, text="Half a ti")
    conversation.refresh_from_db()
    assert (conversation.title, conversation.is_titled) == ("What is a lease?", False)


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("What a Lease Is", "What a Lease Is"),
        ('"What a Lease Is."', "What a Lease Is"),
        ("# What a *lease* is", "What a lease is"),
        ("\n\n- What a lease is\nIt is…", "What a lease is"),
        ("Title: Leases", "Leases"),
        ("**Titel:** „Pacht“", "Pacht"),
        ("[Leases](https://x.example)", "Leases"),
        ("<b>Leases</b><script>", "Leases"),
        ("`lease`", "lease"),
        ("Don't panic", "Don't panic"),
        ("C++ and C#", "C++ and C#"),
        ("_The snake_case_", "The snake_case"),
        ("租约是什么？", "租约是什么？"),
        ("a\x07b", "ab"),
        ("***", ""),
        ("", ""),
        ("word " * 30, "word word word word word word word word word word word…"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_what_the_model_said_is_cleaned(said: str, title: str) -> None:
    assert titles.clean(said) == title
