"""Limits are said before they are met, in every open page."""

import re

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from chat.models import Conversation, Message
from lobby.accounts import tokens
from tests.browser.conftest import picture
from tests.browser.doing import SENT, ask, attached
from tests.browser.test_looks import violations


def test_a_limit_that_comes_near_is_said_and_a_refusal_keeps_the_question(
    page: Page, conversation: Conversation, alice: User
) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    attached(page)
    line = page.locator("[data-use]")
    expect(line).to_be_hidden()
    other = page.context.new_page()
    other.goto("/")
    attached(other)

    tokens.spend(alice.pk, 8_500_000)
    expect(other.locator("lobby-toasts")).to_contain_text("You have used 85 % of today's tokens")
    expect(line).to_contain_text("You have used 85 % of today's tokens; they renew at 00:00 UTC.")
    expect(line).not_to_have_class(re.compile("is-high"))
    assert violations(page) == []

    tokens.spend(alice.pk, 1_500_000)
    expect(line).to_have_class(re.compile("is-high"))
    ask(page, "Why?")
    expect(page.locator(".composer .problem")).to_have_text(
        re.compile(
            r"^Today's 10,000,000 tokens are used up\. They renew at 00:00 UTC, in [\dhmins ]+\. Reference \w{32}$"
        )
    )
    expect(page.get_by_label(SENT)).to_have_value("Why?")
    assert violations(page) == []
    assert Message.objects.count() == 2
    picture(page, "limit-reached")
    line.get_by_role("link", name="Your use").click()
    expect(page.get_by_role("heading", name="Your use")).to_be_visible()
    expect(page.get_by_role("meter", name="Tokens per day, read and written")).to_be_visible()
