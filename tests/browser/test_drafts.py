"""Nothing typed is lost: not by a refusal, a lost network, the end of a session or a text that nobody can keep."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from agents.models import Agent
from chat.models import Conversation, Message
from lobby.embedded.child import Child
from tests.browser.doing import SENT, ask, is_done, last_reply, start_chat
from tests.fake_ollama import FakeOllama


@pytest.mark.parametrize(
    ("text", "reason"), [("a\0b", "NUL"), ("a\ud800b", "lone surrogate")], ids=["nul", "surrogate"]
)
def test_what_cannot_be_kept_is_refused_with_the_reason_and_stays(
    page: Page, conversation: Conversation, text: str, reason: str
) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    page.get_by_label(SENT).evaluate(
        """(box, codes) => {
            box.value = String.fromCharCode(...codes);
            box.dispatchEvent(new Event("input", {bubbles: true}));
        }""",
        [ord(character) for character in text],
    )
    page.get_by_label(SENT).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(reason)
    assert page.get_by_label(SENT).evaluate("box => box.value.length") == 3
    assert conversation.messages.count() == 2


def test_an_empty_question_is_not_sent(page: Page, conversation: Conversation) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    ask(page, " \n ")
    expect(page.get_by_role("button", name="Send")).to_have_attribute("aria-disabled", "true")
    assert conversation.messages.count() == 2


def test_who_is_signed_out_elsewhere_is_told_and_keeps_the_draft(
    page: Page, open_context: Callable[..., BrowserContext], conversation: Conversation
) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    page.get_by_label(SENT).fill("A thought")
    other = page.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="alice").click()
    other.get_by_role("menuitem", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("link", name="Signed out. Sign in again")).to_be_visible()
    page.get_by_label(SENT).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("signed out")
    expect(page.get_by_label(SENT)).to_have_value("A thought")


def test_too_many_waiting_replies_are_said_and_the_text_stays(
    page: Page, conversation: Conversation, alice: User, agent: Agent
) -> None:
    from tests.factories import make_run

    most = settings.QUEUED_PER_USER
    assert most
    for _ in range(most):
        make_run(owner=alice, agent=agent)
    page.goto(f"/chat/{conversation.pk}/")
    ask(page, "One more")
    expect(page.get_by_role("alert")).to_contain_text(str(most))
    expect(page.get_by_label(SENT)).to_have_value("One more")


def test_an_edit_survives_reload(page: Page, worker: Child, fake: FakeOllama) -> None:
    start_chat(page, "What is a lease?")
    is_done(page)
    page.get_by_label(SENT).press("ArrowUp")
    page.get_by_label("Edit the question").fill("What is a fence?")
    page.reload()
    page.get_by_label(SENT).press("ArrowUp")
    expect(page.get_by_label("Edit the question")).to_have_value("What is a fence?")
    page.get_by_role("button", name="Ask again").dblclick()
    is_done(page)
    expect(page.locator(".question")).to_have_text("What is a fence?")
    expect(last_reply(page)).to_be_visible()
    assert Message.objects.filter(role="user").count() == 2


def test_news_do_not_disturb_who_edits(page: Page, worker: Child, fake: FakeOllama, conversation: Conversation) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    page.get_by_label(SENT).press("ArrowUp")
    page.get_by_label("Edit the question").fill("Unfinished")
    other = page.context.new_page()
    other.goto(f"/chat/{conversation.pk}/")
    ask(other, "Meanwhile")
    is_done(other)
    expect(page.get_by_text("Meanwhile")).to_be_visible()
    is_done(page)
    expect(page.get_by_label("Edit the question")).to_be_focused()
    expect(page.get_by_label("Edit the question")).to_have_value("Unfinished")
