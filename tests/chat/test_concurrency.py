"""Several at once on real connections: what a double click, two tabs and a worker do to each other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from agents import runs
from agents.errors import Refused
from agents.models import Run
from chat import conversations, replies
from chat.models import Conversation, Message
from chat.replies import Exchange
from tests import factories
from tests.chat.engine import claim, end
from tests.waiting import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def conversation(transactional_db: None) -> Conversation:
    factories.make_host(max_parallel=100)
    return conversations.start(owner=factories.make_user(), agent=factories.make_agent(model=factories.MODEL))


@pytest.fixture
def at_once() -> Iterator[Callable[..., list[Any]]]:
    """Calls everything in a thread and on a connection of its own, all from the same moment on."""
    with ThreadPoolExecutor(8) as threads:

        def call(*functions: Callable[[], Any]) -> list[Any]:
            barrier = Barrier(len(functions))

            def one(function: Callable[[], Any]) -> Any:
                barrier.wait()
                try:
                    return function()
                except Refused as refusal:
                    return refusal
                finally:
                    connection.close()

            return [task.result() for task in [threads.submit(one, function) for function in functions]]

        yield call


def test_a_double_click_makes_one_run(conversation: Conversation, at_once: Callable[..., list[Any]]) -> None:
    key = uuid4()
    made = at_once(*[lambda: replies.ask(conversation=conversation, text="One?", key=key)] * 8)
    assert len({reply.pk for _, reply in made}) == 1
    assert (Message.objects.count(), Run.objects.count()) == (2, 1)


def test_two_tabs_with_the_same_question_make_one_run(
    conversation: Conversation, at_once: Callable[..., list[Any]]
) -> None:
    made = at_once(*[lambda: replies.ask(conversation=conversation, text="One?", key=uuid4())] * 4)
    assert len({reply.pk for _, reply in made}) == 1
    assert Run.objects.count() == 1


def test_of_two_different_questions_at_once_one_is_taken(
    conversation: Conversation, at_once: Callable[..., list[Any]]
) -> None:
    made = at_once(
        lambda: replies.ask(conversation=conversation, text="One?"),
        lambda: replies.ask(conversation=conversation, text="Two?"),
    )
    assert sorted(isinstance(each, Refused) for each in made) == [False, True]
    assert Run.objects.count() == 1


def test_starting_twice_at_once_makes_one_conversation(
    conversation: Conversation, at_once: Callable[..., list[Any]]
) -> None:
    id, agent = uuid4(), conversation.agent
    assert agent is not None
    made = at_once(*[lambda: conversations.start(owner=conversation.owner, agent=agent, id=id)] * 4)
    assert {each.pk for each in made} == {id}


def test_a_run_that_ends_while_its_chat_is_changed_ends_once_and_nobody_waits_for_ever(
    conversation: Conversation, at_once: Callable[..., list[Any]]
) -> None:
    for _ in range(10):
        question, reply = replies.ask(conversation=conversation, text="One?")
        claim()
        run = Run.objects.get(subject=reply.pk)
        at_once(
            lambda run=run: runs.finish(run, status=Run.Status.DONE, text="Yes."),
            lambda question=question: replies.edit(question, text="Two?"),
            lambda reply=reply: replies.stop(reply),
            lambda reply=reply: replies.resume(reply),
            lambda: conversations.rename(conversation, title="Mine"),
        )
        for left in Message.objects.filter(status=Message.Status.WRITING):
            end(left, text="Left.")
        reply.refresh_from_db()
        assert reply.text.startswith("Yes.")
        conversation.refresh_from_db()
    assert Run.objects.unfinished().filter(purpose="chat.reply").count() == 0


def test_a_resume_from_two_tabs_makes_one_run(conversation: Conversation, at_once: Callable[..., list[Any]]) -> None:
    _, reply = replies.ask(conversation=conversation, text="Count.")
    end(reply, status="interrupted", text="One,")
    made = at_once(*[lambda: replies.resume(reply)] * 4)
    assert sorted(isinstance(each, Refused) for each in made) == [False, True, True, True]
    assert Run.objects.filter(purpose="chat.reply").count() == 2


def test_a_question_that_waited_for_another_agent_to_be_chosen_goes_to_that_one(
    conversation: Conversation, at_once: Callable[..., list[Any]]
) -> None:
    other = factories.make_agent(model=factories.MODEL)

    def choose() -> None:
        with transaction.atomic():
            conversations.set_agent(Conversation.objects.get(pk=conversation.pk), agent=other)
            wait_for(somebody_waits_for_a_lock)

    def ask() -> Exchange:
        wait_for(lambda: is_locked(conversation))
        return replies.ask(conversation=conversation, text="Who are you?")

    _, (_, reply) = at_once(choose, ask)
    assert (reply.agent, Run.objects.get().agent) == (other, other)


def is_locked(conversation: Conversation) -> bool:
    with transaction.atomic():
        return not Conversation.objects.select_for_update(skip_locked=True).filter(pk=conversation.pk).exists()
