"""A chat through a real runner and the fake Ollama: what was asked, how it was answered, and what the context held."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Agent, Run
from agents.runner import Runner
from chat import conversations, replies
from chat.models import Conversation, Message
from tests import factories
from tests.chat.heard import events
from tests.fake_ollama import FakeOllama, expected_text
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama(["fake:latest"]) as server:
        yield server


@pytest.fixture
def runner(transactional_db: None) -> Iterator[Runner]:
    one = Runner()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def alice(transactional_db: None) -> User:
    return factories.make_user("alice")


@pytest.fixture
def agent(fake: FakeOllama, transactional_db: None) -> Agent:
    factories.make_host(models=("fake:latest",), base_url=fake.url)
    return factories.make_agent(system_prompt="Be brief.", model="fake:latest")


def answered(reply: Message, runner: Runner) -> Message:
    runner.ring()

    def over() -> bool:
        reply.refresh_from_db()
        return not reply.is_writing

    wait_for(over)
    return reply


def ask(conversation: Conversation, text: str, runner: Runner) -> Message:
    return answered(replies.ask(conversation=conversation, text=text)[1], runner)


def titled(conversation: Conversation) -> None:
    wait_for(lambda: not Run.objects.unfinished().exists())
    conversation.refresh_from_db()


def test_a_question_is_answered_and_the_chat_gets_a_title(
    conversation: Conversation, runner: Runner, fake: FakeOllama
) -> None:
    fake.script(text="A right for a time.")
    fake.script(text='"Leases"', containing="Write a title")
    reply = ask(conversation, "What is a lease?", runner)
    assert (reply.status, reply.text) == (Message.Status.DONE, "A right for a time.")
    titled(conversation)
    assert (conversation.title, conversation.is_titled) == ("Leases", True)


def test_a_full_context_is_cut_in_the_open_and_the_chat_goes_on(
    conversation: Conversation, agent: Agent, runner: Runner, fake: FakeOllama
) -> None:
    fake.script(n_ctx=400, text="word " * 20)
    texts = [f"Question {number} " + "x" * 600 for number in range(4)]
    trimmed = [ask(conversation, text, runner).trimmed for text in texts]
    assert trimmed[0] == 0
    assert trimmed[-1] >= 2
    assert set(Message.objects.values_list("status", flat=True)) == {Message.Status.DONE}
    sent = Run.objects.filter(purpose="chat.reply", status=Run.Status.DONE).earliest("-queued_at").messages
    assert (sent[0]["content"], sent[-1]["content"]) == ("Be brief.", texts[-1])
    assert Run.objects.filter(error_kind="context_full").exists()


def test_a_question_too_long_for_the_context_fails_with_the_figures(
    conversation: Conversation, runner: Runner, fake: FakeOllama
) -> None:
    fake.script(n_ctx=400)
    reply = ask(conversation, "word " * 40_000, runner)  # 200,000 characters
    assert reply.status == Message.Status.FAILED
    assert "400 fit" in reply.error
    wait_for(lambda: ends(conversation))  # said once the row is committed
    assert [event["error"] for event in ends(conversation)] == [reply.error]


def ends(conversation: Conversation) -> list[dict[str, Any]]:
    return [event for event in events(conversation.topic) if event["type"] == "run.ended"]


def test_a_reply_that_breaks_off_goes_on_where_it_stopped(
    conversation: Conversation, runner: Runner, fake: FakeOllama
) -> None:
    fake.script(tokens=20, cut_after=5, times=1)
    reply = ask(conversation, "Count.", runner)
    assert (reply.status, reply.text) == (Message.Status.INTERRUPTED, expected_text(5))
    fake.script(tokens=3)
    reply = answered(replies.resume(reply), runner)
    assert (reply.status, reply.text) == (Message.Status.DONE, expected_text(5) + expected_text(3))


def test_a_huge_reply_is_kept_whole_and_can_be_found(
    conversation: Conversation, alice: User, runner: Runner, fake: FakeOllama
) -> None:
    fake.script(tokens=32_768)
    fake.script(text="Numbers", containing="Write a title")
    reply = ask(conversation, "Count.", runner)
    assert (reply.status, reply.text == expected_text(32_768)) == (Message.Status.DONE, True)
    assert conversations.search(owner=alice, query="0012345") == [conversation]
    titled(conversation)
