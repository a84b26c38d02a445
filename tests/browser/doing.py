"""What a person does on the chat page, and what they then see."""

import re
from contextlib import suppress

from playwright.sync_api import Locator, Page, expect

from tests.waiting import wait_for

SENT = "Your question"


def ask(page: Page, text: str) -> None:
    box = page.get_by_label(SENT)
    box.fill(text)
    box.press("Enter")


def start_chat(page: Page, text: str, *, slug: str = "analyst") -> str:
    """Ask in a new chat; the id of the conversation."""
    page.goto(f"/chat/new/{slug}/")
    ask(page, text)
    page.wait_for_url(re.compile(r"/chat/[0-9a-f]{8}-"))
    return page.url.rstrip("/").rpartition("/")[2]


def last_reply(page: Page) -> Locator:
    return page.locator(".message:not(.is-mine)").last


def shown(reply: Locator) -> str:
    """The words of a reply, whether they stream or stand, and whether or not they have been laid out yet."""
    return " ".join(" ".join(reply.locator(".prose").all_text_contents()).split())


def says(reply: Locator, words: str) -> None:
    with suppress(AssertionError):
        wait_for(lambda: shown(reply) == words)
    assert shown(reply) == words


def is_done(page: Page) -> None:
    expect(last_reply(page)).to_have_attribute("data-status", "done")


def is_writing(page: Page) -> None:
    expect(page.locator("lobby-reply[aria-busy=true]")).to_be_visible()
    expect(last_reply(page).locator(".prose.live")).not_to_be_empty()


def attached(page: Page) -> None:
    """What is said to this user from now on will be heard; `open_context` writes down which topics were."""
    until(page, "heard.some(topic => topic?.startsWith('user:'))")


def until(page: Page, expression: str) -> None:
    """Not `page.wait_for_function`: what does not hold at once it evaluates within the page, where our policy forbids
    that."""
    wait_for(lambda: page.evaluate(expression))
