from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, Run
from chat import replies
from chat.models import Conversation, Message
from tests.chat.engine import end
from tests.factories import make_agent, make_conversation, make_message
from tests.jsonapi import Api


@pytest.fixture
def api(alice: User) -> Api:
    return Api(alice)


@pytest.fixture
def reply(conversation: Conversation) -> Message:
    _, reply = replies.ask(conversation=conversation, text="What is a lease?")
    return end(reply, text="**A** right.", prompt_tokens=20, output_tokens=4, done_reason="stop")


def test_a_whole_chat_by_the_api(api: Api, agent: Agent) -> None:
    id, key = str(uuid4()), str(uuid4())
    assert api.post("conversations", agent="helper", id=id)[1]["id"] == id
    status, made = api.post(f"conversations/{id}/messages", text="What is a lease?", key=key)
    assert (status, made["question"]["text"], made["reply"]["status"]) == (201, "What is a lease?", "writing")
    assert api.post(f"conversations/{id}/messages", text="What is a lease?", key=key) == (201, made)
    reply = Message.objects.get(pk=made["reply"]["id"])
    end(reply, text="**A** right.", prompt_tokens=20, output_tokens=4, done_reason="stop")
    status, said = api.get(f"messages/{reply.pk}")
    assert (status, said["html"], said["agent"]) == (200, "<p><strong>A</strong> right.</p>\n", "helper")
    assert (said["stats"]["prompt_tokens"], said["stats"]["output_tokens"]) == (20, 4)
    status, thread = api.get(f"conversations/{id}/messages")
    assert (status, [message["text"] for message in thread["items"]]) == (200, ["What is a lease?", "**A** right."])


def test_start_twice_with_one_id_is_one_conversation(api: Api, agent: Agent) -> None:
    id = str(uuid4())
    first = api.post("conversations", agent="helper", id=id)
    assert (first[0], api.post("conversations", agent="helper", id=id)) == (201, first)


def test_the_list_goes_on_where_a_page_ended(api: Api, alice: User, agent: Agent) -> None:
    for number in range(3):
        make_conversation(owner=alice, agent=agent, title=str(number), is_pinned=number == 0)
    _, first = api.get("conversations", size=2)
    _, second = api.get("conversations", size=2, cursor=first["next"])
    assert [row["title"] for row in [*first["items"], *second["items"]]] == ["0", "2", "1"]
    assert second["next"] is None


def queries_of(call: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def test_the_list_costs_the_same_queries_for_one_and_three(api: Api, alice: User) -> None:
    api.get("agents")  # what a session costs at first
    costs = []
    for number in range(3):
        make_conversation(owner=alice, agent=make_agent(f"agent-of-{number}"))
        costs.append(queries_of(lambda: api.get("conversations")))
    assert len(api.get("conversations")[1]["items"]) == 3
    assert len(set(costs)) == 1


def test_messages_cost_the_same_queries_for_one_and_three_exchanges(api: Api, conversation: Conversation) -> None:
    api.get("agents")  # what a session costs at first
    costs = []
    for _ in range(3):
        _, reply = replies.ask(conversation=conversation, text="One?")
        end(reply, text="Yes.")
        Message.objects.update(html="<p>Yes.</p>")
        costs.append(queries_of(lambda: api.get(f"conversations/{conversation.pk}/messages")))
    assert len(api.get(f"conversations/{conversation.pk}/messages")[1]["items"]) == 6
    assert len(set(costs)) == 1


def test_question_reads_its_conversation_once_and_locks_it(api: Api, conversation: Conversation) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert api.post(f"conversations/{conversation.pk}/messages", text="One?")[0] == 201
    read = [query["sql"] for query in captured if query["sql"].startswith('SELECT "chat_conversation"')]
    assert [sql.partition(" FOR ")[2] for sql in read] == ['UPDATE OF "chat_conversation"']


def test_question_in_a_deleted_chat_is_refused_with_what_to_do(
    api: Api, conversation: Conversation, reply: Message
) -> None:
    path = f"conversations/{conversation.pk}"
    assert api.delete(path)[0] == 204
    status, said = api.post(f"{path}/messages", text="And then?")
    assert (status, said["detail"]) == (409, "This chat was deleted. Undo that first.")
    assert Message.objects.count() == 2


def test_question_in_a_chat_that_never_was_is_not_found(api: Api, agent: Agent) -> None:
    assert api.post(f"conversations/{uuid4()}/messages", text="Hi")[0] == 404


def test_search_gives_the_snippet(api: Api, reply: Message) -> None:
    status, found = api.get("conversations", q="lease")
    assert (status, [row["snippet"] for row in found["items"]]) == (200, ["What is a lease?"])
    assert api.get("conversations", q="nothing")[1] == {"items": [], "next": None}


def test_patch_changes_what_is_named_and_nothing_else(api: Api, conversation: Conversation) -> None:
    make_agent("other")
    path = f"conversations/{conversation.pk}"
    assert api.patch(path, title="Leases")[1]["title"] == "Leases"
    changed = api.patch(path, is_pinned=True, agent="other")[1]
    assert (changed["title"], changed["is_pinned"], changed["agent"]) == ("Leases", True, "other")
    assert api.patch(path)[0] == 200


def test_patch_is_all_or_nothing(api: Api, conversation: Conversation) -> None:
    path = f"conversations/{conversation.pk}"
    assert api.patch(path, title="Leases", agent="nobody")[0] == 422
    assert api.get(path)[1]["title"] == ""


def test_patch_shows_another_branch(api: Api, conversation: Conversation, reply: Message) -> None:
    _, second = api.post(f"messages/{reply.pk}/regenerate")
    path = f"conversations/{conversation.pk}"
    assert api.get(path)[1]["head"] == second["id"]
    assert api.patch(path, head=str(reply.pk))[1]["head"] == str(reply.pk)


def test_delete_and_undo(api: Api, conversation: Conversation, reply: Message) -> None:
    path = f"conversations/{conversation.pk}"
    assert api.delete(path) == (204, None)
    assert (api.get(path)[0], api.get(f"messages/{reply.pk}")[0], api.delete(path)[0]) == (404, 404, 404)
    assert api.post(f"{path}/restore")[0] == 200
    assert api.get(f"messages/{reply.pk}")[0] == 200


def test_edit_regenerate_continue_retry_and_stop(api: Api, reply: Message) -> None:
    make_agent("other")
    status, edited = api.post(f"messages/{reply.parent_id}/edit", text="What is a fence?")
    assert (status, edited["question"]["branch"], len(edited["question"]["siblings"])) == (201, 2, 2)
    stopped = api.post(f"messages/{edited['reply']['id']}/stop")
    assert (stopped[0], stopped[1]["status"]) == (200, "cancelled")
    assert api.post(f"messages/{edited['reply']['id']}/retry")[1]["status"] == "writing"
    status, second = api.post(f"messages/{reply.pk}/regenerate", agent="other")
    assert (status, second["agent"], second["branch"]) == (201, "other", 2)
    going_on = api.post(f"messages/{reply.pk}/continue")
    assert (going_on[0], going_on[1]["status"], going_on[1]["text"]) == (200, "writing", "**A** right.")


def test_a_reply_that_failed_says_what_and_why(api: Api, conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, status="failed", error_kind="host_unreachable", error="It is off.")
    said = api.get(f"messages/{reply.pk}")[1]
    assert (said["status"], said["error_kind"], said["error"]) == ("failed", "host_unreachable", "It is off.")


def refused(answer: tuple[int, Any], status: int, kind: str, words: str) -> None:
    assert (answer[0], answer[1]["kind"]) == (status, kind)
    assert words in answer[1]["detail"]


def test_refusals_are_problems_in_words(api: Api, conversation: Conversation, settings: Any) -> None:
    path = f"conversations/{conversation.pk}/messages"
    refused(api.post(path, text=" "), 422, "bad_text", "empty")
    refused(api.post("conversations", agent="nobody"), 422, "unknown_agent", "nobody")
    refused(api.patch(f"conversations/{conversation.pk}", title="x" * 121), 422, "text_too_long", "120 is the limit")
    api.post(path, text="One?")
    refused(api.post(path, text="Two?"), 409, "still_writing", "still being written")
    settings.QUEUED_PER_USER = 1
    other = api.post("conversations", agent="helper")[1]["id"]
    answer = api.post(f"conversations/{other}/messages", text="Three?")
    refused(answer, 429, "too_many_runs", "is the limit")
    assert answer[1]["retry_after"] > 0
    Agent.objects.update(is_active=False)
    refused(api.post("conversations", agent="helper"), 409, "agent_disabled", "switched off")


def test_a_host_without_the_model_says_which_it_has(api: Api, conversation: Conversation) -> None:
    Agent.objects.update(model="absent:1b")
    answer = api.post(f"conversations/{conversation.pk}/messages", text="One?")
    refused(answer, 409, "model_unavailable", "smollm2:135m")


def test_a_question_of_the_limit_is_taken_and_a_longer_one_refused(
    api: Api, conversation: Conversation, settings: Any
) -> None:
    path = f"conversations/{conversation.pk}/messages"
    too_long = api.post(path, text="😀" * (settings.MAX_QUESTION + 1))
    refused(too_long, 422, "text_too_long", "500,001 characters; 500,000 is the limit")
    assert api.post(path, text="😀" * settings.MAX_QUESTION)[0] == 201


def test_a_body_beyond_the_limit_is_refused_unread(api: Api, conversation: Conversation) -> None:
    assert api.post(f"conversations/{conversation.pk}/messages", text="x" * 4_300_000)[0] == 413


BAD_BODIES = [
    rb'{"text": "a\ud800"}',
    rb'{"text": "a\u0000"}',
    b'{"text": "a\xff"}',
    b'{"text": "a\xed\xa0\x80"}',
    b'{"text": 5}',
    b'{"text": null}',
    b'{"text": ["a"]}',
    b"{}",
    b"[]",
    b'"text"',
    b"null",
    b"",
    b"{",
    b'{"text": "a", "key": "x"}',
    b'{"text": ' + b"[" * 5000 + b"]" * 5000 + b"}",
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_no_body_is_a_server_error(api: Api, conversation: Conversation, reply: Message, body: bytes) -> None:
    for path in (f"conversations/{conversation.pk}/messages", f"messages/{reply.parent_id}/edit"):
        status, said = api.send("POST", path, body)
        assert status in {400, 422}
        assert said["detail"]
    assert Message.objects.count() == 2


@pytest.mark.parametrize("title", [rb'"a\ud800"', rb'"a\u0000"', b'"\xff"', b"5", b'" "', b"[]"])
def test_no_title_is_a_server_error(api: Api, conversation: Conversation, title: bytes) -> None:
    status, said = api.send("PATCH", f"conversations/{conversation.pk}", b'{"title": ' + title + b"}")
    assert status in {400, 422}
    assert said["detail"]


@pytest.mark.parametrize("query", [{"q": "a\0b"}, {"q": "'"}, {"cursor": "x"}, {"cursor": "\0"}, {"size": "0"}])
def test_no_query_is_a_server_error(api: Api, conversation: Conversation, query: dict[str, str]) -> None:
    for path in ("conversations", f"conversations/{conversation.pk}/messages"):
        assert api.get(path, **query)[0] in {200, 400, 422}


Call = Callable[[Api, str, str, str], tuple[int, Any]]

CALLS: list[Call] = [
    lambda api, c, q, r: api.get(f"conversations/{c}"),
    lambda api, c, q, r: api.patch(f"conversations/{c}", title="Mine now"),
    lambda api, c, q, r: api.delete(f"conversations/{c}"),
    lambda api, c, q, r: api.post(f"conversations/{c}/restore"),
    lambda api, c, q, r: api.get(f"conversations/{c}/messages"),
    lambda api, c, q, r: api.post(f"conversations/{c}/messages", text="Hi"),
    lambda api, c, q, r: api.get(f"messages/{q}"),
    lambda api, c, q, r: api.post(f"messages/{q}/edit", text="Hi"),
    lambda api, c, q, r: api.post(f"messages/{r}/regenerate"),
    lambda api, c, q, r: api.post(f"messages/{r}/continue"),
    lambda api, c, q, r: api.post(f"messages/{r}/retry"),
    lambda api, c, q, r: api.post(f"messages/{r}/stop"),
]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_somebody_elses_is_not_found_and_stays_as_it_was(
    bob: User, conversation: Conversation, reply: Message, call: Call
) -> None:
    before = list(Message.objects.values()), list(Conversation.objects.values())
    status, _ = call(Api(bob), str(conversation.pk), str(reply.parent_id), str(reply.pk))
    assert status == 404
    assert (list(Message.objects.values()), list(Conversation.objects.values())) == before


def test_somebody_elses_message_is_no_parent_and_no_head(
    api: Api, bob: User, conversation: Conversation, agent: Agent
) -> None:
    foreign = make_message(make_conversation(owner=bob, agent=agent))
    path = f"conversations/{conversation.pk}"
    assert api.post(f"{path}/messages", text="Hi", parent=str(foreign.pk))[0] == 404
    assert api.patch(path, head=str(foreign.pk))[0] == 404
    assert Run.objects.count() == 0


def test_lists_show_nothing_of_others(bob: User, reply: Message) -> None:
    assert Api(bob).get("conversations")[1]["items"] == []
    assert Api(bob).get("conversations", q="lease")[1]["items"] == []
