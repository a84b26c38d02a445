"""What a person does on the pages of debates, and what they then see. A panel of nine sits on the fake."""

import re

from playwright.sync_api import Locator, Page, expect

from agents.models import Agent
from tests.browser.conftest import MODEL

Role = Agent.Role
VOTERS = (Role.ANALYST, Role.RESEARCHER, Role.QUANTIFIER, Role.SKEPTIC, Role.PRAGMATIST)
COLOURS = ("#0072b2", "#009e73", "#a44a86", "#d55e00", "#6f6a00", "#5f3dc4", "#364fc7", "#495057")
START = "Start the debate"


def make_panel() -> None:
    """Everybody whom the suggested panel of a round table has; "analyst" and "skeptic" sit in the lobby already."""
    roles = (*VOTERS, Role.DEVILS_ADVOCATE, Role.FACT_CHECKER, Role.MODERATOR)
    for position, (role, colour) in enumerate(zip(roles, COLOURS, strict=True)):
        fields = {"name": role.label, "role": role, "colour": colour, "position": position, "model": MODEL}
        words = role.label.replace("-", " ").split()
        initials = words[0][0] + (words[1][0] if len(words) > 1 else words[0][1])
        Agent.objects.update_or_create(slug=role, defaults=fields | {"initials": initials})


def start_debate(page: Page, question: str = "Is it so?", *, options: str = "Yes\nNo") -> str:
    """With the suggested panel; the id of the debate."""
    page.goto("/debates/new/")
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_label("Options, one per line").fill(options)
    page.get_by_role("button", name=START).click()
    page.wait_for_url(re.compile(r"/debates/[0-9a-f]{8}-"))
    return page.url.rstrip("/").rpartition("/")[2]


def lane(page: Page, name: str) -> Locator:
    return page.locator(f'.lane[data-name="{name}"]')


def is_streaming(page: Page) -> None:
    expect(page.locator(".lane lobby-reply[aria-busy=true] .prose.live").first).not_to_be_empty()


def has_ended(page: Page, *, seconds: int = 90) -> None:
    expect(page.locator(".stage-head")).to_have_attribute("data-status", "ended", timeout=seconds * 1000)
    expect(page.get_by_role("heading", name="Verdict", exact=True)).to_be_visible()


def words_of(page: Page, name: str) -> str:
    """What a seat says in this round, whether it streams or stands."""
    return (lane(page, name).locator(".lane-words > .said .prose").last.text_content() or "").strip()
