"""What somebody does who puts a question before a panel, and watches."""

import os
import re
import signal
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from agents.models import Agent, Host
from debates.models import Debate
from lobby.embedded.child import Child
from tests.browser.conftest import picture
from tests.browser.debating import has_ended, is_streaming, lane, make_panel, start_debate, words_of
from tests.browser.test_looks import PHONE, small_targets, violations
from tests.fake_ollama import FakeOllama, expected_text
from tests.processes import worker_process


@pytest.fixture(autouse=True)
def panel(agent: Agent) -> None:
    make_panel()
    Host.objects.update(max_parallel=8)


def test_a_debate_goes_from_the_question_to_its_verdict_without_a_reload(
    page: Page, worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=100, rate=25, hold_after=50, votes="Yes")
    start_debate(page, "Should the old bridge be closed before winter?")
    page.evaluate("window.isSamePage = true")
    expect(page.locator(".lane")).to_have_count(5)
    is_streaming(page)
    expect(page.locator("[data-announce]")).to_contain_text("answering")
    expect(page.locator(".round-bar > .is-now")).to_contain_text("Round 0")
    picture(page, "debates-live-blind")
    assert violations(page) == []
    fake.release()
    expect(page.locator(".tally .head-count b").nth(1)).to_have_text("5")  # all five, now
    expect(lane(page, "Devil's Advocate")).to_be_visible()
    expect(page.locator(".claims")).to_contain_text("speaks for Yes")
    has_ended(page)
    expect(page.locator(".is-verdict .decided")).to_have_text("A: Yes")
    expect(page.locator(".is-verdict")).to_contain_text("All gates are passed: a consensus.")
    expect(page.locator(".is-verdict")).to_contain_text("Same model ×5")
    expect(page.locator(".is-dissent .decided")).to_have_text("Nobody dissents")
    assert page.locator(".is-verdict").bounding_box()["height"] == page.locator(".is-dissent").bounding_box()["height"]  # type: ignore[index]
    assert words_of(page, "Moderator") == expected_text(100).strip()
    assert page.evaluate("window.isSamePage") is True
    picture(page, "debates-live-result")
    page.goto("/debates/")
    expect(page.locator(".debate-list")).to_contain_text("A: Yes")


def test_reload_and_another_browser_show_the_same_debate(
    page: Page, open_context: Callable[..., BrowserContext], worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=150, rate=50, hold_after=100, votes="Yes")
    debate = start_debate(page)
    is_streaming(page)
    page.reload()
    is_streaming(page)
    late = open_context().new_page()
    late.goto(f"/debates/{debate}/")
    is_streaming(late)
    fake.release()
    fake.script(tokens=150, hold_after=100, votes="Yes")  # for the next round, which is stopped
    for watching in (page, late):
        expect(watching.locator(".tally")).to_be_visible()
        for name in ("Analyst", "Skeptic"):
            expect(lane(watching, name).locator(".said .prose").first).to_have_text(expected_text(150).strip())
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop it now?").click()
    for watching in (page, late):
        has_ended(watching)


def test_it_pauses_at_the_barrier_and_goes_on(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=100, rate=20, hold_after=50, votes="Yes")
    debate = start_debate(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".stage-head")).to_contain_text("pausing at the end of this step")
    fake.release()
    expect(page.locator(".stage-head")).to_have_attribute("data-status", "paused")
    expect(page.get_by_role("button", name="Resume")).to_be_focused()
    assert Debate.objects.get(pk=debate).status == "paused"
    page.get_by_role("button", name="Put something before all").click()
    page.get_by_label("Text", exact=True).fill("The cable was replaced in May.")
    page.get_by_role("button", name="Put it before them").click()
    expect(page.get_by_role("list", name="Put before all seats")).to_contain_text("The cable was replaced in May.")
    page.get_by_role("button", name="Resume").click()
    has_ended(page)


def test_stopping_takes_two_clicks_and_keeps_what_was_said(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=2000, rate=40, hold_after=100, votes="Yes")
    start_debate(page)
    is_streaming(page)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".stage-head")).to_have_attribute("data-status", "running")
    page.get_by_role("button", name="Stop it now?").click()
    expect(page.locator(".stage-head")).to_have_attribute("data-status", "ended")
    expect(lane(page, "Analyst")).to_contain_text("The debate was stopped.")
    fake.wait_until(lambda stats: stats.open_now == 0)


def test_options_of_an_open_question_are_found_looked_at_and_changed(
    page: Page, worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=20, votes="Wait")
    fake.script(tokens=20, votes="1 because", times=8)
    page.goto("/debates/new/")
    page.get_by_label("Question", exact=True).fill("What now?")
    page.get_by_label("Let me look at the options").check()
    page.get_by_role("button", name="Start the debate").click()
    expect(page.locator(".notice.warning")).to_contain_text("Look at the options")
    page.get_by_role("button", name="Edit the options").click()
    expect(page.get_by_role("textbox", name="Options", exact=True)).to_have_value("1 because\n2 because\nOther")
    page.get_by_role("textbox", name="Options", exact=True).fill("Wait\nAct")
    page.get_by_role("button", name="Take these and go on").click()
    has_ended(page)
    expect(page.locator(".is-verdict .decided")).to_have_text("A: Wait")


def test_a_share_link_is_read_by_anybody_until_it_is_taken_back(
    page: Page, browser: object, web: Child, worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=20, votes="Yes")
    start_debate(page)
    has_ended(page)
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Link", exact=True)
    expect(link).to_have_value(re.compile(rf"^{re.escape(web.url)}/shared/debates/[\w-]{{43}}/$"))
    assert violations(page) == []
    anybody = browser.new_context().new_page()  # type: ignore[attr-defined]
    address = link.input_value()
    anybody.goto(address)
    expect(anybody.locator(".is-verdict .decided")).to_have_text("A: Yes")
    expect(anybody.get_by_role("button")).to_have_count(0)
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("button", name="Make a link")).to_be_visible()
    assert anybody.goto(address).status == 404
    anybody.context.close()


def test_a_fork_goes_on_with_another_panel(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=20, votes="Yes")
    parent = start_debate(page)
    has_ended(page)
    page.get_by_role("button", name="Fork").click()
    page.get_by_label("Keep everything up to").select_option("0")
    page.get_by_role("dialog").get_by_role("button", name="Remove Pragmatist").click()
    page.get_by_role("button", name="Start the fork").click()
    expect(page.get_by_role("link", name="forked after round 0")).to_have_attribute("href", f"/debates/{parent}/")
    has_ended(page)
    expect(page.locator(".trajectory tbody tr")).to_have_count(4)


def test_a_debate_is_replayed_by_keyboard(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=20, votes="Yes")
    start_debate(page)
    has_ended(page)
    rounds = page.locator(".trajectory thead th")
    expect(rounds).to_have_count(3)
    page.get_by_role("button", name="Replay").press("Enter")
    slider = page.get_by_role("slider", name="Moment of the debate")
    expect(slider).to_be_focused()
    expect(page.locator(".lane .said:visible")).to_have_count(1)
    expect(page.locator(".trajectory")).to_have_count(0)
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.locator("[data-replay-words]")).to_contain_text("round 0, the ballots are in")
    expect(rounds).to_have_count(2)
    page.keyboard.press("End")
    expect(rounds).to_have_count(3)
    page.get_by_role("button", name="End the replay").click()
    expect(page.locator(".is-verdict .decided")).to_have_text("A: Yes")


def test_it_is_settled_on_its_page(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=20, votes="Yes")
    debate = start_debate(page)
    has_ended(page)
    page.get_by_label("Which option was right?").select_option("B")
    page.get_by_role("button", name="Settle").click()
    expect(page.locator(".tally")).to_contain_text("was right")
    assert Debate.objects.get(pk=debate).right_option == "B"


def test_the_list_and_the_lobby_show_what_goes_on(
    page: Page, open_context: Callable[..., BrowserContext], worker: Child, fake: FakeOllama, alice: User
) -> None:
    fake.script(tokens=100, rate=50, hold_after=50, votes="Yes")
    page.goto("/debates/")
    expect(page.get_by_text("No debates yet.")).to_be_visible()
    lobby = open_context().new_page()
    lobby.goto("/")
    stage = open_context().new_page()
    start_debate(stage, "Is tea better?")
    for watching in (page, lobby):
        expect(watching.locator(".debate-list", has_text="Is tea better?")).to_contain_text("under way")
    fake.release()
    has_ended(stage)
    for watching in (page, lobby):
        expect(watching.locator(".debate-list")).to_contain_text("A: Yes")


def test_on_a_phone_a_debate_is_watched_without_scrolling_sideways(
    open_context: Callable[..., BrowserContext], worker: Child, fake: FakeOllama
) -> None:
    phone = open_context(**PHONE).new_page()
    fake.script(tokens=60, rate=30, hold_after=30, votes="Yes")
    start_debate(phone, "Should the old bridge be closed before winter?")
    is_streaming(phone)
    assert small_targets(phone) == []
    picture(phone, "debates-live-phone")
    fake.release()
    has_ended(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(phone) == []


def test_a_worker_that_dies_takes_nothing_along(page: Page, fake: FakeOllama, agent: Agent) -> None:
    """Attempts begin anew, and no word of the first ones stays."""
    fake.script(tokens=100, rate=25, hold_after=50, votes="Yes")
    with worker_process() as first:
        start_debate(page)
        is_streaming(page)
        os.kill(first.pid, signal.SIGKILL)
        first.await_end(patience=5)
    fake.release()
    with worker_process():
        has_ended(page)
    for name in ("Analyst", "Skeptic"):
        expect(lane(page, name).locator(".said .prose").first).to_have_text(expected_text(100).strip())
