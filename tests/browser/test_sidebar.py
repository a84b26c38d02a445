"""The side bar: finding, naming, pinning, deleting, in all tabs."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Locator, Page, expect

from agents.models import Agent
from chat.models import Conversation, Message
from lobby.embedded.child import Child
from tests.browser.doing import is_done, is_writing, start_chat
from tests.factories import make_conversation, make_message, make_user
from tests.fake_ollama import FakeOllama
from tests.waiting import wait_for


def entry(page: Page, title: str) -> Locator:
    return page.locator(".conversation", has_text=title)


def do(page: Page, title: str, what: str) -> None:
    entry(page, title).hover()
    entry(page, title).get_by_role("button", name=f"Actions for {title}").click()
    page.get_by_role("menuitem", name=what, exact=True).click()


def test_search_finds_what_was_said_and_marks_it(page: Page, conversation: Conversation) -> None:
    other = make_conversation(owner=conversation.owner, agent=conversation.agent, title="Weather")
    make_message(other, text="Will it rain?")
    page.goto("/")
    page.keyboard.press("/")
    search = page.get_by_label("Search all messages")
    expect(search).to_be_focused()
    search.fill("promise")
    expect(entry(page, "Leases").locator("mark")).to_have_text("promise")
    expect(page.locator(".conversation")).to_have_count(1)
    search.fill("nothing like that")
    expect(page.get_by_text("Nothing holds")).to_be_visible()
    search.press("Escape")
    expect(page.locator(".conversation")).to_have_count(2)


def test_nobody_finds_what_somebody_else_said(page: Page, agent: Agent) -> None:
    bobs = make_conversation(owner=make_user("bob"), agent=agent, title="Bob's secret")
    make_message(bobs, text="the secret word")
    page.goto("/")
    page.get_by_label("Search all messages").fill("secret")
    expect(page.get_by_text("Nothing holds")).to_be_visible()
    page.goto(f"/chat/{bobs.pk}/")
    expect(page.get_by_role("heading", name="Nobody here by that name")).to_be_visible()


def test_rename_stands_in_the_bar_the_side_bar_and_other_tabs(page: Page, conversation: Conversation) -> None:
    other = page.context.new_page()
    other.goto("/")
    page.goto(f"/chat/{conversation.pk}/")
    do(page, "Leases", "Rename")
    title = page.get_by_label("Title", exact=True)
    title.fill("On leases")
    title.press("Enter")
    expect(entry(page, "On leases")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("On leases")
    expect(entry(other, "On leases")).to_be_visible()


def test_pin_moves_a_conversation_up(page: Page, conversation: Conversation) -> None:
    newer = make_conversation(owner=conversation.owner, agent=conversation.agent, title="Newer")
    make_message(newer)
    page.goto("/")
    do(page, "Leases", "Pin")
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    expect(page.locator(".conversation").first).to_contain_text("Leases")
    do(page, "Leases", "Unpin")
    expect(page.get_by_role("heading", name="Pinned")).to_have_count(0)


def test_delete_can_be_undone(page: Page, conversation: Conversation) -> None:
    other = make_conversation(owner=conversation.owner, agent=conversation.agent, title="Other")
    make_message(other)
    page.goto(f"/chat/{other.pk}/")
    do(page, "Leases", "Delete")
    expect(entry(page, "Leases")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(entry(page, "Leases")).to_be_visible()
    do(page, "Other", "Delete")  # the one that is open
    expect(page.get_by_role("heading", level=1)).to_have_text("The lobby")
    page.get_by_role("button", name="Undo").click()
    expect(entry(page, "Other")).to_be_visible()
    assert Conversation.objects.filter(deleted_at=None).count() == 2


def test_a_running_conversation_is_marked_in_every_tab(
    page: Page, open_context: Callable[..., BrowserContext], worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=400, rate=40, hold_after=100)
    elsewhere = open_context().new_page()
    elsewhere.goto("/")
    start_chat(page, "Count slowly")
    is_writing(page)
    expect(entry(elsewhere, "Count slowly").locator(".pulse")).to_be_visible()
    page.keyboard.press("Escape")
    expect(elsewhere.locator(".conversation .pulse")).to_have_count(0)


def test_the_model_names_the_conversation(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(text="The promise with an end", times=None)
    start_chat(page, "What is a lease?")
    is_done(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("The promise with an end")
    expect(entry(page, "The promise with an end")).to_be_visible()


def test_arrows_walk_the_list_and_enter_opens(page: Page, conversation: Conversation) -> None:
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    expect(entry(page, "Leases").get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/chat/{conversation.pk}/")


def test_more_than_fifty_conversations_can_be_reached(page: Page, conversation: Conversation) -> None:
    for number in range(60):
        one = make_conversation(owner=conversation.owner, agent=conversation.agent, title=f"Number {number}")
        make_message(one, role=Message.Role.USER)
    page.goto("/")
    expect(page.locator(".conversation")).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".conversation")).to_have_count(61)
    wait_for(lambda: page.get_by_role("button", name="Show more").count() == 0)
