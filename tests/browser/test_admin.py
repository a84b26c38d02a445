"""What an admin does in the panels beside the forms: try an agent in place, pull a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_looks import violations
from tests.fake_ollama import FakeOllama, expected_text

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from agents.models import Agent
    from lobby.embedded.child import Child


@pytest.fixture
def alice(transactional_db: None) -> User:
    """The browser's user is an admin here."""
    from tests.factories import make_admin

    return make_admin("alice")


def test_prompt_is_tried_with_the_unsaved_form_and_its_answer_streams_and_stops(
    page: Page, agent: Agent, worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=6, rate=200, containing="Why?")
    fake.script(tokens=2000, rate=50, hold_after=100, containing="Count slowly")
    page.goto(f"/admin/agents/agent/{agent.pk}/change/")
    page.get_by_label("System prompt").fill("You rhyme.")
    page.get_by_label("Prompt", exact=True).fill("Why?")
    page.get_by_role("button", name="Try", exact=True).click()

    answer = page.locator("lobby-try .prose")
    expect(answer).to_have_text(expected_text(6).strip())
    expect(page.locator("lobby-try dl")).to_contain_text("answer: 6 tokens")
    assert fake.stats.bodies[-1]["messages"][0] == {"role": "system", "content": "You rhyme."}

    page.get_by_label("Prompt", exact=True).fill("Count slowly")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(answer).to_contain_text("0000003")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("lobby-try dl")).to_contain_text("Stopped.")
    fake.wait_until(lambda seen: seen.open_now == 0)
    agent.refresh_from_db()
    assert agent.system_prompt == "You answer briefly."
    assert [found for found in violations(page) if "lobby-" in found] == []

    page.get_by_label("Prompt", exact=True).fill("")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="Write something")).to_be_visible()


def test_pull_shows_how_far_it_is_after_a_reload_too_and_is_stopped(
    page: Page, agent: Agent, worker: Child, fake: FakeOllama
) -> None:
    from agents.models import Host

    host = Host.objects.get(name="fake host")
    fake.script_pulls(total=2_000_000_000, steps=4, hold_after=1)
    page.goto(f"/admin/agents/host/{host.pk}/change/")
    page.get_by_label("Model", exact=True).fill("llama3.2:3b")
    page.get_by_role("button", name="Pull", exact=True).click()
    fake.wait_until(lambda seen: seen.pulls_open == 1)
    card = page.locator(".lobby-pull")
    expect(card).to_contain_text("25 %, 500.0 MB of 2.0 GB")

    page.reload()
    expect(card).to_contain_text("25 %, 500.0 MB of 2.0 GB")
    expect(card.get_by_role("progressbar", name="Pulling llama3.2:3b")).to_be_visible()
    fake.release_pulls()
    expect(card).to_contain_text("Done.")
    expect(page.get_by_role("row", name="llama3.2:3b")).to_be_visible()

    fake.script_pulls(hold_after=1)
    page.get_by_label("Model", exact=True).fill("mistral")
    page.get_by_role("button", name="Pull", exact=True).click()
    fake.wait_until(lambda seen: seen.pulls_open == 1)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".lobby-pull").first).to_contain_text("Stopped.")
    fake.wait_until(lambda seen: seen.pulls_left == 1)
    assert [found for found in violations(page) if "lobby-" in found] == []
