"""Composing a debate: one field is enough, everything can be changed, and nothing typed is lost."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from agents.models import Agent, Host
from debates.models import Debate
from lobby.embedded.child import Child
from tests.browser.debating import START, make_panel
from tests.browser.test_looks import violations

QUESTION = "Should the old bridge be closed?"
STARTED = re.compile(r"/debates/[0-9a-f]{8}-")


@pytest.fixture(autouse=True)
def panel(agent: Agent) -> None:
    make_panel()


def question(page: Page) -> None:
    page.goto("/debates/new/")
    page.get_by_label("Question", exact=True).fill(QUESTION)


def seats(page: Page) -> list[str]:
    return page.locator(".seat [data-who]").all_inner_texts()


def test_one_question_is_enough(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Question for a debate").fill(QUESTION)
    page.get_by_role("button", name="New debate").click()
    expect(page.get_by_label("Question", exact=True)).to_have_value(QUESTION)
    expect(page.locator("[data-estimate]")).to_contain_text("minute")
    page.get_by_role("button", name=START).click()
    page.wait_for_url(STARTED)
    debate = Debate.objects.get()
    assert (debate.question, debate.protocol, debate.rule) == (QUESTION, "round-table", "three-quarters")
    assert (debate.is_open, debate.seats.filter(votes=True).count(), debate.seats.count()) == (True, 5, 8)


def test_a_double_click_is_one_debate(page: Page) -> None:
    question(page)
    page.get_by_role("button", name=START).dblclick()
    page.wait_for_url(STARTED)
    assert Debate.objects.count() == 1


def test_the_panel_is_put_in_order_by_keyboard(page: Page) -> None:
    question(page)
    assert seats(page)[:3] == ["Analyst", "Researcher", "Quantifier"]
    page.get_by_role("button", name="Move Quantifier up").press("Enter")
    expect(page.get_by_role("button", name="Move Quantifier up")).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    assert seats(page)[:3] == ["Quantifier", "Analyst", "Researcher"]
    expect(page.locator("lobby-panel [data-said]")).to_have_text("Quantifier is number 1 now.")
    page.get_by_role("button", name="Remove Pragmatist").press("Enter")
    page.get_by_label("Agent for a new seat").select_option("skeptic")
    page.get_by_role("button", name="Add a seat").press("Enter")
    page.get_by_label("Model of Skeptic").last.select_option("fake:latest")
    expect(page.locator("lobby-panel [data-count]")).to_have_text("8 seats, 5 with a vote")
    assert violations(page) == []
    page.get_by_role("button", name=START).press("Enter")
    page.wait_for_url(STARTED)
    sitting = list(Debate.objects.get().seats.filter(votes=True).values_list("name", flat=True))
    assert sitting == ["Quantifier", "Analyst", "Researcher", "Skeptic", "Skeptic 2"]


def test_seats_are_dragged_into_order(page: Page) -> None:
    question(page)
    page.locator(".seat", has_text="Skeptic").locator(".grip").drag_to(
        page.locator(".seat", has_text="Analyst"), target_position={"x": 20, "y": 4}
    )
    assert seats(page)[:2] == ["Skeptic", "Analyst"]


def test_a_draft_survives_reload_and_is_gone_once_started(page: Page) -> None:
    question(page)
    page.get_by_label("Options, one per line").fill("Yes\nNo")
    page.get_by_label("Protocol").select_option("delphi")
    page.get_by_role("button", name="Remove Pragmatist").click()
    page.reload()
    expect(page.get_by_label("Question", exact=True)).to_have_value(QUESTION)
    expect(page.get_by_label("Options, one per line")).to_have_value("Yes\nNo")
    expect(page.get_by_label("Protocol")).to_have_value("delphi")
    assert "Pragmatist" not in seats(page)
    page.get_by_role("button", name=START).click()
    page.wait_for_url(STARTED)
    page.goto("/debates/new/")
    expect(page.locator("[data-count]")).to_contain_text("5 with a vote")
    expect(page.get_by_label("Question", exact=True)).to_have_value("")


def test_a_protocol_brings_its_panel_rounds_and_rule(page: Page) -> None:
    question(page)
    page.get_by_label("Protocol").select_option("oxford")
    expect(page.locator("#protocol-words")).to_contain_text("sides swapped")
    expect(page.get_by_label("Rule")).to_be_disabled()
    expect(page.get_by_label("Rule")).to_have_value("judge")
    expect(page.get_by_label("Rounds")).to_have_value("8")
    assert seats(page) == ["Analyst", "Skeptic", "Moderator"]
    expect(page.locator("#options-error")).to_contain_text("exactly two options")


@pytest.mark.parametrize(
    ("label", "value", "field", "words"),
    [
        ("Options, one per line", "Yes", "options", "2 to 6 options"),
        ("Options, one per line", "Yes\nyes", "options", "twice"),
        ("Budget, tokens", "500", "max_tokens", "Round 0 alone takes about"),
        ("Rounds", "9", "max_rounds", "takes 2 to 5 rounds"),
        ("Speech, tokens", "1", "speech_tokens", "30"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_before_the_start(
    page: Page, label: str, value: str, field: str, words: str
) -> None:
    question(page)
    page.get_by_label(label).fill(value)
    expect(page.locator(f'[data-field="{field}"] .error')).to_contain_text(words)
    assert violations(page) == []
    page.get_by_role("button", name=START).click()
    expect(page.locator(f'[data-field="{field}"] .error')).to_contain_text(words)
    expect(page.get_by_label(label)).to_be_focused()
    expect(page.get_by_label(label)).to_have_value(value)
    assert Debate.objects.count() == 0


def test_too_few_voters_are_explained_beside_the_panel(page: Page) -> None:
    question(page)
    for name in ("Skeptic", "Quantifier", "Pragmatist"):
        page.get_by_role("button", name=f"Remove {name}").click()
    expect(page.locator("#panel-error")).to_contain_text("3 is the least")
    expect(page.locator("lobby-panel [data-count]")).to_contain_text("2 with a vote; 3 is the least")


def test_a_model_that_no_host_has_is_said(page: Page) -> None:
    Agent.objects.filter(slug="skeptic").update(model="gone:7b")
    question(page)
    expect(page.locator("#panel-error")).to_contain_text("gone:7b")


def test_an_empty_question_is_not_sent(page: Page) -> None:
    page.goto("/debates/new/")
    page.get_by_role("button", name=START).click()
    expect(page.locator("#question-error")).to_have_text("Type the question.")
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    assert Debate.objects.count() == 0


def test_nothing_typed_is_lost_when_the_server_is_away(page: Page, web: Child) -> None:
    question(page)
    page.context.set_offline(True)
    page.get_by_role("button", name=START).click()
    expect(page.locator("[data-problem]")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name=START).click()
    page.wait_for_url(STARTED)
    assert Debate.objects.count() == 1


def test_a_question_in_the_address_is_text_and_nothing_else(page: Page) -> None:
    evil = '"><script>alert(1)</script>'
    page.goto(f"/debates/new/?question={quote(evil)}")
    expect(page.get_by_label("Question", exact=True)).to_have_value(evil)


def test_without_a_model_host_the_reason_is_said(page: Page) -> None:
    Host.objects.all().delete()
    question(page)
    expect(page.locator("lobby-new-debate .error:visible, [data-problem]:visible")).to_contain_text("host")
