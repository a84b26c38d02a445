"""Setting up a second factor and signing in with it; and how the pages of one's own way in look."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import picture
from tests.browser.test_accounts import AXE, sign_in, stranger  # noqa: F401  (a fixture)
from tests.factories import PASSWORD, make_admin

if TYPE_CHECKING:
    from agents.models import Agent

SIZES = {"wide": (1280, 800), "phone": (390, 844)}


def look(page: Page, name: str) -> None:
    """Light and dark, wide and on a phone: a picture, no violation, nothing that sticks out."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            picture(page, f"account-{name}-{scheme}-{size}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.evaluate(AXE)
        found: Any = page.evaluate("axe.run()")
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == [], name


def test_second_factor_is_set_up_and_asked_for_at_the_next_sign_in(stranger: Page, agent: Agent) -> None:  # noqa: F811
    from tests.lobby.test_second_factor import codes_of

    make_admin("alice")
    page = stranger
    policy: list[str] = []
    page.on("console", lambda message: policy.append(message.text) if "Content Security" in message.text else None)
    page.goto("/sign-in/?next=/account/security/")
    look(page, "sign-in")
    sign_in(page)
    look(page, "security")
    page.get_by_role("link", name="Set it up").click()
    look(page, "confirm")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("img", name=re.compile("QR code"))).to_be_visible()
    look(page, "set-up")
    secret = page.locator("code.secret").inner_text()
    page.get_by_role("textbox", name="Code").fill(codes_of(secret)[1])
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    look(page, "recovery-codes")
    page.get_by_role("link", name="I have written them down").click()
    expect(page.get_by_text("10 recovery codes left")).to_be_visible()
    page.goto("/account/sessions/")
    look(page, "sessions")
    page.goto("/account/invitations/")
    page.get_by_role("button", name="Invite").click()
    look(page, "invitations")

    page.context.clear_cookies(name="sessionid")
    page.goto("/sign-in/?next=/account/security/")
    sign_in(page)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    look(page, "code")
    page.get_by_role("textbox", name="Code").fill(codes_of(secret)[2])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    assert policy == []
