from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Agent
from chat import conversations
from chat.models import Conversation
from chat.search import search
from tests.factories import make_conversation, make_message


def talk(owner: User, agent: Agent, *texts: str, title: str = "Chat") -> Conversation:
    conversation = make_conversation(owner=owner, agent=agent, title=title)
    above = None
    for text in texts:
        above = make_message(conversation, parent=above, text=text)
    return conversation


def found(owner: User, query: str) -> list[Conversation]:
    return search(owner=owner, query=query)


def test_all_words_must_occur_as_beginnings_of_words(alice: User, agent: Agent) -> None:
    lease = talk(alice, agent, "The worker renews its lease every 3 s.")
    talk(alice, agent, "The worker stops.")
    assert found(alice, "WORK lea") == [lease]
    assert found(alice, "renew orker") == []


def test_titles_are_searched_too(alice: User, agent: Agent) -> None:
    named = talk(alice, agent, "Hello", title="About leases")
    assert found(alice, "lease") == [named]
    assert str(found(alice, "lease")[0].snippet) == ""


def test_the_snippet_shows_the_hit_among_its_neighbours(alice: User, agent: Agent) -> None:
    talk(alice, agent, "before " * 50 + "the\nLease ends " + "after " * 50)
    [conversation] = found(alice, "lease")
    snippet = conversation.snippet
    assert snippet.hit == "Lease"
    assert snippet.before.endswith("before the ")
    assert snippet.after.startswith(" ends after")
    assert len(str(snippet)) <= 200


def test_the_newest_message_that_was_found_is_shown(alice: User, agent: Agent) -> None:
    talk(alice, agent, "an old lease", "nothing", "a new lease")
    assert str(found(alice, "lease")[0].snippet) == "a new lease"


def test_others_and_deleted_conversations_are_not_found(alice: User, bob: User, agent: Agent) -> None:
    talk(bob, agent, "a lease")
    conversations.delete(talk(alice, agent, "a lease"))
    assert found(alice, "lease") == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        "!!!",
        "'",
        "\\",
        "a' | b",
        "lease & !",
        ":*",
        "<->",
        "(((",
        "\0",
        "le\0ase",
        "\ud800",
        "%",
        "x" * 5000,
        "'; --",
    ],
)
def test_nothing_in_a_query_is_an_operator(alice: User, agent: Agent, query: str) -> None:
    talk(alice, agent, "nothing of that")
    assert found(alice, query) == []


@pytest.mark.parametrize(
    "query", ["user@example.com", "don't", "3.14", "back\\slash", "https://x.example/a?b=1", "lease."]
)
def test_what_was_written_is_found_by_pasting_it(alice: User, agent: Agent, query: str) -> None:
    conversation = talk(alice, agent, f"It says {query} there")
    assert found(alice, query) == [conversation]


def test_a_million_different_words_can_be_kept_and_their_beginning_be_found(alice: User, agent: Agent) -> None:
    words = " ".join(f"w{number:x}" for number in range(200_000))
    assert len(words) > 1_000_000
    conversation = talk(alice, agent, words)
    assert found(alice, "w1f3") == [conversation]


def test_the_number_of_queries_does_not_grow(alice: User, agent: Agent, django_assert_num_queries: Any) -> None:
    talk(alice, agent, "a lease")
    with django_assert_num_queries(1):
        assert len(found(alice, "lease")) == 1
    for _ in range(2):
        talk(alice, agent, "a lease", "one more lease")
    with django_assert_num_queries(1):
        assert len(found(alice, "lease")) == 3
