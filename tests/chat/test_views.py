import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Host
from chat.models import Conversation, Message
from tests.factories import make_agent, make_conversation, make_host, make_message, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def talk(owner: User, *, turns: int = 1, **fields: Any) -> Conversation:
    conversation = make_conversation(owner=owner, **fields)
    for number in range(turns):
        question = make_message(conversation, parent=conversation.head, text=f"Question {number}")
        run = make_run(owner=owner, agent=conversation.agent, status="done", output_tokens=7, model="m")
        make_message(conversation, parent=question, role=Message.Role.ASSISTANT, text=f"**Answer** {number}", run=run)
    return conversation


def texts(html: str) -> list[str]:
    return re.findall(r"(Question \d+|<strong>Answer</strong> \d+)", html)


@pytest.mark.parametrize(
    "address", ["/", "/chat/", "/chat/new/", "/chat/new/analyst/", "/chat/sidebar/", "/agents.css"]
)
def test_pages_ask_strangers_to_sign_in(client: Client, address: str) -> None:
    response = client.get(address)
    assert (response.status_code, response["Location"]) == (302, f"/sign-in/?next={address}")


def test_pages_of_others_and_of_nobody_are_not_found(page: Client) -> None:
    bobs = talk(make_user("bob"))
    for conversation, message in [(bobs.pk, bobs.head_id), (uuid4(), uuid4())]:
        for address in (f"/chat/{conversation}/", f"/chat/{conversation}/thread/", f"/chat/messages/{message}/"):
            assert page.get(address).status_code == 404
    assert page.get("/chat/new/nobody/").status_code == 404


def test_deleted_conversation_is_not_found(page: Client, alice: User) -> None:
    conversation = talk(alice)
    Conversation.objects.update(deleted_at=conversation.created_at)
    assert page.get(f"/chat/{conversation.pk}/").status_code == 404


def test_only_reading_is_possible(page: Client, alice: User) -> None:
    assert page.post(f"/chat/{talk(alice).pk}/").status_code == 405


def test_chat_leads_to_what_was_active_last_or_to_a_new_one(page: Client, alice: User) -> None:
    make_agent("analyst")
    assert page.get("/chat/")["Location"] == "/chat/new/"
    conversation = talk(alice)
    make_conversation(owner=alice)  # without a question: not begun
    assert page.get("/chat/")["Location"] == f"/chat/{conversation.pk}/"


def test_new_chat_without_any_agent_says_what_to_do(page: Client) -> None:
    make_agent("analyst", is_active=False)
    assert "Every agent is switched off." in page.get("/chat/new/").content.decode()


def test_conversation_shows_its_last_messages_and_more_on_demand(page: Client, alice: User) -> None:
    conversation = talk(alice, turns=20)
    html = page.get(f"/chat/{conversation.pk}/").content.decode()
    assert texts(html) == texts(" ".join(f"Question {n} <strong>Answer</strong> {n}" for n in range(5, 20)))
    assert "data-has-older" in html
    first = re.findall(r'data-message="([^"]+)"', html)[0]
    older = page.get(f"/chat/{conversation.pk}/thread/?before={first}").content.decode()
    assert texts(older) == texts(" ".join(f"Question {n} <strong>Answer</strong> {n}" for n in range(5)))
    assert "data-has-older" not in older


def test_nonsense_as_a_place_to_go_on_is_the_end(page: Client, alice: User) -> None:
    conversation = talk(alice)
    assert texts(page.get(f"/chat/{conversation.pk}/thread/?before=x%27y").content.decode()) == [
        "Question 0",
        "<strong>Answer</strong> 0",
    ]


def test_message_fragment_is_that_of_the_page(page: Client, alice: User) -> None:
    conversation = talk(alice)
    whole = page.get(f"/chat/{conversation.pk}/").content.decode()
    part = page.get(f"/chat/messages/{conversation.head_id}/").content.decode()
    assert part[: part.index("</article>")].strip() in whole


def test_text_of_people_and_models_is_escaped(page: Client, alice: User) -> None:
    conversation = talk(alice, title="<b>title</b>")
    Message.objects.update(text="<b>text</b>", thinking="<b>thought</b>", html="")
    html = page.get(f"/chat/{conversation.pk}/").content.decode()
    assert "<b>" not in html
    assert html.count("&lt;b&gt;text&lt;/b&gt;") == 2


def test_each_way_to_end_says_what_can_be_done(page: Client, alice: User) -> None:
    conversation = talk(alice)
    run = make_run(owner=alice, status="failed", error="The host is on fire.")
    expected = {
        ("failed", ""): ["The host is on fire.", 'data-action="retry"'],
        ("interrupted", "half"): ["The reply broke off.", 'data-action="continue"'],
        ("cancelled", "half"): ["Stopped.", 'data-action="continue"'],
        ("cancelled", ""): ["Stopped before the first word.", 'data-action="retry"'],
    }
    for (status, text), said in expected.items():
        conversation.messages.filter(role="assistant").update(status=status, text=text, html="", run=run)
        html = page.get(f"/chat/messages/{conversation.head_id}/").content.decode()
        assert [words for words in said if words not in html] == []


def test_figures_stand_under_a_reply(page: Client, alice: User) -> None:
    conversation = talk(alice)
    html = page.get(f"/chat/messages/{conversation.head_id}/").content.decode()
    assert "<span>m</span>" in html
    assert "<span>7 tokens</span>" in html


def test_side_bar_lists_pinned_first_and_searches(page: Client, alice: User) -> None:
    talk(alice, title="One", is_pinned=True)
    talk(alice, title="Two")
    html = page.get("/chat/sidebar/").content.decode()
    assert re.findall(r"<h2>(.*?)</h2>|data-title=\"(.*?)\"", html) == [
        ("Pinned", ""),
        ("", "One"),
        ("Recent", ""),
        ("", "Two"),
    ]
    assert re.findall(r'data-title="(.*?)"', page.get("/chat/sidebar/?q=two").content.decode()) == ["Two"]
    assert "Nothing holds" in page.get("/chat/sidebar/?q=three").content.decode()


@pytest.mark.parametrize("limit", ["0", "-1", "x", "9" * 30, "²"])
def test_side_bar_takes_any_limit(page: Client, alice: User, limit: str) -> None:
    talk(alice)
    assert page.get("/chat/sidebar/", {"limit": limit}).status_code == 200


def test_colours_of_agents_come_with_a_readable_colour_for_their_initials(page: Client) -> None:
    make_agent("dark", colour="#0072b2")
    make_agent("light", colour="#f0e442")
    response = page.get("/agents.css")
    assert response["Content-Type"] == "text/css"
    assert set(response.content.decode().splitlines()) == {
        '[data-agent="dark"]{--agent:#0072b2;--on-agent:#fff}',
        '[data-agent="light"]{--agent:#f0e442;--on-agent:#000}',
    }


def test_home_tells_who_is_busy_and_who_is_down(page: Client, alice: User) -> None:
    make_host(models=("m",))
    busy = make_agent("busy", name="Busy")
    make_agent("idle", name="Idle")
    make_agent("down", name="Down", model="none")
    make_run(owner=alice, agent=busy, status="running")
    make_run(owner=alice, agent=busy, status="queued")
    html = page.get("/").content.decode()
    states = re.findall(
        r'<h3>(\w+)</h3>\s*<span class="state is-(\w+)">(?:<span class="pulse"></span>)?(.*?)</span>', html
    )
    assert sorted(states) == [
        ("Busy", "busy", "answering 1, 1 in line"),
        ("Down", "down", "no host has none"),
        ("Idle", "idle", "ready"),
    ]


def test_home_tells_which_model_answers(page: Client) -> None:
    make_agent("one")
    assert "No model host is connected." in page.get("/").content.decode()
    host = make_host(name="big box", models=("m", "n"))
    assert "big box, and 1 more model can be chosen" in page.get("/").content.decode()
    Host.objects.filter(pk=host.pk).update(is_embedded=True)
    assert "A small demonstration model answers here: m." in page.get("/").content.decode()
    Host.objects.filter(pk=host.pk).update(state="down", state_reason="It refuses.")
    assert "big box: It refuses." in page.get("/").content.decode()


def test_pages_load_nothing_from_elsewhere_and_hold_no_script_or_style(page: Client, alice: User) -> None:
    conversation = talk(alice)
    for address in ("/", "/chat/new/", f"/chat/{conversation.pk}/"):
        response = page.get(address)
        html = response.content.decode()
        assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", html) == []
        assert re.findall(r'(?:src|href)="(?:https?:)?//', html) == []
        assert "script-src 'self'" in response["Content-Security-Policy"]


class TestQueries:
    """Three rows cost as many queries as one."""

    def count(self, client: Client, address: str) -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        kept = ("accounts_limit", "auth_group")  # read again after 5 s, whatever is asked for
        return sum(not any(table in query["sql"] for table in kept) for query in queries.captured_queries)

    def test_conversation(self, page: Client, alice: User) -> None:
        one, three = talk(alice, turns=1), talk(alice, turns=3)
        addresses = [f"/chat/{one.pk}/", f"/chat/{three.pk}/"]
        page.get(addresses[0]), page.get(addresses[1])  # renders what is due
        assert self.count(page, addresses[0]) == self.count(page, addresses[1])
        fragments = [f"/chat/{one.pk}/thread/", f"/chat/{three.pk}/thread/"]
        assert self.count(page, fragments[0]) == self.count(page, fragments[1])

    @pytest.mark.parametrize("address", ["/", "/chat/new/", "/chat/sidebar/", "/chat/sidebar/?q=question"])
    def test_lists(self, page: Client, alice: User, address: str) -> None:
        make_host()
        talk(alice)
        before = self.count(page, address)
        talk(alice)
        talk(alice)
        make_host()
        make_run(owner=alice, status="running")
        assert self.count(page, address) == before
