from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser, User

from agents.errors import AgentDisabled
from agents.models import Agent
from agents.pages import BadCursor
from chat import conversations, replies
from chat.errors import BadText, NotPossible
from chat.models import Conversation, Message
from tests.chat.engine import end
from tests.chat.heard import events
from tests.factories import make_agent, make_conversation, make_message


def changes(user: User) -> list[str]:
    return [event["change"] for event in events(f"user:{user.pk}")]


def test_start_twice_with_one_id_makes_one(alice: User, agent: Agent) -> None:
    id = uuid4()
    first = conversations.start(owner=alice, agent=agent, id=id)
    assert conversations.start(owner=alice, agent=agent, id=id) == first
    assert (first.pk, Conversation.objects.count()) == (id, 1)


def test_start_with_an_id_of_somebody_else_or_of_a_deleted_one_is_refused(
    alice: User, bob: User, conversation: Conversation, agent: Agent
) -> None:
    with pytest.raises(NotPossible, match="taken"):
        conversations.start(owner=bob, agent=agent, id=conversation.pk)
    conversations.delete(conversation)
    with pytest.raises(NotPossible, match="taken"):
        conversations.start(owner=alice, agent=agent, id=conversation.pk)


def test_start_with_a_disabled_agent_is_refused(alice: User) -> None:
    with pytest.raises(AgentDisabled):
        conversations.start(owner=alice, agent=make_agent(is_active=False))


def test_each_change_is_kept_and_said(conversation: Conversation, alice: User, said: Any) -> None:
    other = make_agent("other")
    with said(execute=True):
        conversations.rename(conversation, title=" A\nB ")
        conversations.pin(conversation, pinned=True)
        conversations.set_agent(conversation, agent=other)
    kept = Conversation.objects.get()
    assert (kept.title, kept.is_titled, kept.is_pinned, kept.agent) == ("A B", True, True, other)
    assert changes(alice) == ["renamed", "pinned", "activity"]
    assert events(conversation.topic) == [{"type": "chat.title", "title": "A B"}]


def test_an_empty_title_is_refused(conversation: Conversation) -> None:
    with pytest.raises(BadText):
        conversations.rename(conversation, title=" ")


def test_delete_stops_what_is_written_and_restore_brings_all_back(
    conversation: Conversation, alice: User, said: Any
) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    with said(execute=True):
        conversations.delete(conversation)
    reply.refresh_from_db()
    assert reply.status == Message.Status.CANCELLED
    assert Conversation.objects.visible_to(alice).count() == 0
    assert Message.objects.visible_to(alice).count() == 0
    assert Conversation.objects.binned(alice).get() == conversation
    with said(execute=True):
        conversations.restore(conversation)
    assert Conversation.objects.visible_to(alice).get() == conversation
    assert Message.objects.visible_to(alice).count() == 2
    assert [change for change in changes(alice) if change != "activity"] == ["deleted", "restored"]


def test_nobody_sees_what_is_not_theirs(conversation: Conversation, bob: User) -> None:
    make_message(conversation)
    for user in (bob, AnonymousUser()):
        assert Conversation.objects.visible_to(user).count() == 0
        assert Conversation.objects.binned(user).count() == 0
        assert Message.objects.visible_to(user).count() == 0


def tree_of(conversation: Conversation) -> dict[str, Message]:
    """q1 → a1 → q2 → a2, beside a1 → q3 → a3, and beside a1 itself a4."""
    made: dict[str, Message] = {}
    for name, parent in [
        ("q1", None),
        ("a1", "q1"),
        ("q2", "a1"),
        ("a2", "q2"),
        ("q3", "a1"),
        ("a3", "q3"),
        ("a4", "q1"),
    ]:
        role = Message.Role.USER if name[0] == "q" else Message.Role.ASSISTANT
        made[name] = make_message(conversation, parent=made[parent] if parent else None, role=role, text=name)
    return made


def shown(conversation: Conversation, **which: Any) -> list[str]:
    conversation.refresh_from_db()
    return [message.text for message in conversations.thread(conversation, **which)]


def test_the_thread_is_the_branch_to_the_head(conversation: Conversation) -> None:
    made = tree_of(conversation)
    assert shown(conversation) == ["q1", "a4"]
    thread = conversations.thread(conversation)
    assert thread[1].siblings == [made["a1"].pk, made["a4"].pk]
    assert (thread[1].branch, thread[1].branches) == (2, 2)


@pytest.mark.parametrize(
    ("to", "branch"),
    [
        ("a1", ["q1", "a1", "q3", "a3"]),
        ("q2", ["q1", "a1", "q2", "a2"]),
        ("a2", ["q1", "a1", "q2", "a2"]),
        ("a4", ["q1", "a4"]),
        ("q1", ["q1", "a4"]),
    ],
)
def test_switch_shows_the_newest_leaf_below(conversation: Conversation, to: str, branch: list[str]) -> None:
    conversations.switch(conversation, message=tree_of(conversation)[to])
    assert shown(conversation) == branch


def test_switch_to_a_message_of_another_conversation_is_refused(conversation: Conversation) -> None:
    foreign = make_message(make_conversation(owner=conversation.owner, agent=conversation.agent))
    with pytest.raises(NotPossible):
        conversations.switch(conversation, message=foreign)


def test_the_thread_can_be_had_in_parts_from_its_end(conversation: Conversation) -> None:
    made = tree_of(conversation)
    conversations.switch(conversation, message=made["a2"])
    assert shown(conversation, last=2) == ["q2", "a2"]
    assert shown(conversation, last=1, before=made["q2"].pk) == ["a1"]
    assert shown(conversation, last=9) == ["q1", "a1", "q2", "a2"]


def test_the_thread_can_be_had_in_pages_from_its_beginning(conversation: Conversation) -> None:
    conversations.switch(conversation, message=tree_of(conversation)["a2"])
    texts, after = [], ""
    for _ in range(4):
        page, more = conversations.thread_page(conversation, after=after, size=1)
        texts += [message.text for message in page]
        after = more or ""
    assert (texts, more) == (["q1", "a1", "q2", "a2"], None)
    with pytest.raises(BadCursor):
        conversations.thread_page(conversation, after=str(uuid4()), size=1)


def test_an_empty_conversation_has_an_empty_thread(conversation: Conversation) -> None:
    assert conversations.thread(conversation) == []
    assert conversations.thread_page(conversation, after="", size=1) == ([], None)


def test_place_tells_one_message_as_the_thread_does(conversation: Conversation) -> None:
    message = conversations.place(tree_of(conversation)["q3"])
    assert (message.branch, message.branches) == (2, 2)


def test_the_thread_costs_the_same_queries_however_long_it_is(
    conversation: Conversation, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        _, reply = replies.ask(conversation=conversation, text="One?")
        end(reply, text="Yes.")
        conversation.refresh_from_db()
        with django_assert_num_queries(2):
            thread = conversations.thread(conversation)
            assert all(message.branches == 1 for message in thread)
            assert [message.ending for message in thread if message.agent and message.run] == [""] * (len(thread) // 2)


def test_asking_costs_the_same_queries_however_long_the_thread_is(
    conversation: Conversation, django_assert_max_num_queries: Any
) -> None:
    for _ in range(4):
        with django_assert_max_num_queries(12):
            _, reply = replies.ask(conversation=conversation, text="One?")
        end(reply, text="Yes.")


def test_the_list_costs_one_query_and_knows_who_is_writing(
    alice: User, agent: Agent, conversation: Conversation, django_assert_num_queries: Any
) -> None:
    replies.ask(conversation=conversation, text="One?")
    for number in range(3):
        make_conversation(owner=alice, agent=make_agent(f"other-{number}"))
        with django_assert_num_queries(1):
            listed = [
                (row.agent and row.agent.name, vars(row)["is_writing"])
                for row in Conversation.objects.visible_to(alice).with_state()
            ]
    assert listed.count(("Helper", True)) == 1
    assert len(listed) == 4


def test_only_where_something_was_asked_has_begun(conversation: Conversation) -> None:
    assert Conversation.objects.begun().count() == 0
    make_message(conversation)
    assert Conversation.objects.begun().count() == 1
