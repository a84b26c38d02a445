"""What a person does to come in and to go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.doing import attached
from tests.factories import PASSWORD

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from agents.models import Agent

AXE = (Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture
def stranger(browser: Browser, web: Any, transactional_db: None) -> Iterator[Page]:
    """A browser in which nobody is signed in."""
    context = browser.new_context(base_url=web.url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    yield page
    context.close()


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_person_signs_in_and_lands_where_he_wanted_to_go(stranger: Page, alice: User, agent: Agent) -> None:
    stranger.goto("/chat/new/analyst/")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(stranger)
    expect(stranger).to_have_url(re.compile(r"/chat/new/analyst/$"))


def test_wrong_password_is_said_and_the_name_stays(stranger: Page, alice: User) -> None:
    stranger.goto("/sign-in/")
    sign_in(stranger, "wrong")
    expect(stranger.get_by_role("alert")).to_have_text("This user name and password do not go together.")
    expect(stranger.get_by_label("Username")).to_have_value("alice")


def test_guesser_is_told_when_to_try_again_and_the_owner_comes_in_elsewhere_by_his_session(
    stranger: Page, page: Page, agent: Agent
) -> None:
    stranger.goto("/sign-in/")
    for number in range(6):
        sign_in(stranger, f"wrong {number}")
        expect(stranger.get_by_role("alert")).to_be_visible()
    expect(stranger.get_by_role("alert")).to_contain_text(
        re.compile(r"Too many attempts. Try again in \d+ (minutes|sec)")
    )

    page.goto("/chat/new/analyst/")
    expect(page.get_by_label("Your question")).to_be_visible()


def test_first_admin_comes_in_by_the_link_sets_a_password_and_uses_it(stranger: Page, agent: Agent) -> None:
    from lobby.accounts import links

    stranger.goto(links.make(links.ensure_first_admin()))
    expect(stranger.get_by_role("heading", name="Welcome, admin")).to_be_visible()
    stranger.get_by_label("New password", exact=True).fill("a phrase of the admin")
    stranger.get_by_label("New password confirmation").fill("a phrase of the admin")
    stranger.get_by_role("button", name="Set the password").click()
    expect(stranger).to_have_url(re.compile(r"//[^/]+/$"))

    stranger.get_by_role("button", name="admin").click()
    stranger.get_by_role("menuitem", name="Sign out").click()
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    stranger.get_by_label("Username").fill("admin")
    stranger.get_by_label("Password").fill("a phrase of the admin")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger).to_have_url(re.compile(r"//[^/]+/$"))


def test_first_admin_may_skip_the_password(stranger: Page, agent: Agent) -> None:
    from lobby.accounts import links

    stranger.goto(links.make(links.ensure_first_admin()))
    stranger.get_by_role("link", name="Skip for now").click()
    expect(stranger).to_have_url(re.compile(r"//[^/]+/$"))


def test_link_that_was_used_says_so(stranger: Page, open_context: Callable[..., BrowserContext], agent: Agent) -> None:
    from lobby.accounts import links

    path = links.make(links.ensure_first_admin())
    stranger.goto(path)
    stranger.context.clear_cookies()
    stranger.goto(path)
    expect(stranger.get_by_role("heading", name="This link is over")).to_be_visible()


def test_weak_password_is_refused_beside_its_field(page: Page) -> None:
    page.goto("/password/")
    page.get_by_label("Old password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password confirmation").fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator(".errorlist")).to_contain_text("at least 10 characters")


def test_signing_out_in_one_tab_is_told_in_the_other(open_context: Callable[..., BrowserContext], agent: Agent) -> None:
    context = open_context()
    first, second = context.new_page(), context.new_page()
    for tab in (first, second):
        tab.goto("/chat/new/analyst/")
        attached(tab)
    first.get_by_role("button", name="alice").click()
    first.get_by_role("menuitem", name="Sign out").click()
    expect(second.get_by_text(re.compile("signed out", re.IGNORECASE)).first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_for_coming_in_are_accessible(stranger: Page, page: Page, scheme: Any) -> None:
    stranger.emulate_media(color_scheme=scheme)
    page.emulate_media(color_scheme=scheme)
    stranger.goto("/sign-in/")
    sign_in(stranger, "wrong")
    page.goto("/password/")
    for shown in (stranger, page):
        shown.evaluate(AXE)
        found = shown.evaluate("axe.run()")["violations"]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
