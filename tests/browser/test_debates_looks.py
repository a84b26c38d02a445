"""Pages of debates, for everybody: no accessibility violation, light and dark, wide and on a phone; little script."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from agents.models import Agent
from debates import sharing
from debates.models import Claim, Debate
from tests.browser.conftest import picture
from tests.browser.doing import until
from tests.browser.test_looks import PHONE, WIDE, small_targets, violations
from tests.debates.rows import make_claim, make_debate, make_injection, make_round, make_speech, rescore

UPGRADED = "!document.querySelector('lobby-debate') || !!customElements.get('lobby-debate')"
QUESTION = "Should the old bridge over the Saale be closed to cars before the winter?"
OPTIONS = ("Close it now", "Close it to lorries only", "Keep it open and inspect it monthly")


@pytest.fixture
def ended(alice: User, agent: Agent) -> Debate:
    """Everything that a debate can show."""
    debate = make_debate(
        owner=alice,
        question=QUESTION,
        background="The last inspection was in 2019.\nTraffic: 4,000 cars a day.",
        options=OPTIONS,
        votes=["AABCB", "AABAB", "AAAAB"],
        kinds=["blind", "exchange", "challenge"],
        models=["llama3.2:3b", "qwen2.5:7b", "gemma3:4b"],
        silent=["devils-advocate", "fact-checker", "moderator"],
        confidences=[[90, 70, 60, 55, 80], [95, 75, 60, 40, 80], [95, 80, 45, 60, None]],
        ballots={
            (0, 0): {"measured": {"A": 0.41, "B": 0.5, "C": 0.09}},
            (1, 3): {"change_reason": "persuaded_by_argument", "cited": [1]},
            (2, 0): {"measured": {"A": 0.41, "B": 0.5, "C": 0.09}, "cited": [2]},
            (2, 2): {"change_reason": "majority_pressure"},
        },
        summary="The panel **closes the bridge**. Its reasons:\n\n1. rust\n2. no inspection since 2019",
    )
    first, second, third = debate.rounds.all()
    seats = list(debate.seats.all())
    make_claim(
        first, seats[0], text="Rust has eaten a third of the main cable’s section.", status=Claim.Status.SUPPORTED
    )
    make_claim(
        first,
        seats[2],
        text="Lorries are nine tenths of the load.",
        status=Claim.Status.REFUTED,
        checked_in=third,
        note="The count of 2023 says six tenths.",
    )
    make_claim(second, seats[4], text="A closure costs the town more than a repair.", kind=Claim.Kind.VALUE)
    make_speech(third, seats[5], kind="challenge", text="Nobody has asked what a closure costs.")
    make_speech(third, seats[6], kind="checks", text="{}", data=[{"claim": 2}])
    make_speech(third, seats[7], kind="verdict", text=debate.summary)
    make_injection(debate)
    rescore(debate)
    return debate


@pytest.fixture
def under_way(alice: User, agent: Agent) -> Debate:
    from tests.debates.rows import add_run

    debate = make_debate(owner=alice, question=QUESTION, options=OPTIONS, seats=5, silent=["moderator"])
    made = make_round(debate, step="speech")
    for seat in list(debate.seats.all())[:2]:
        make_speech(made, seat, text="It **rusts**. " * 30, html="")
    third = debate.seats.all()[2]
    waiting = make_speech(made, third, text="", html="", status="waiting", ended_at=None)
    add_run(waiting, status="queued", started_at=None, finished_at=None, topic=debate.topic)
    return debate


def shared_path(debate: Debate) -> str:
    return f"/shared/debates/{sharing.share(debate)}/"


@pytest.mark.parametrize("size", ["wide", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_of_debates_has_an_accessibility_violation(
    open_context: Callable[..., BrowserContext], ended: Debate, under_way: Debate, theme: str, size: str
) -> None:
    page = open_context(color_scheme=theme, **(PHONE if size == "phone" else WIDE)).new_page()
    pages = {
        "lobby": "/",
        "list": "/debates/",
        "new": "/debates/new/?question=Why",
        "stage": f"/debates/{under_way.pk}/",
        "result": f"/debates/{ended.pk}/",
        "print": f"/debates/{ended.pk}/print/",
        "shared": shared_path(ended),
    }
    for name, address in pages.items():
        page.goto(address)
        until(page, UPGRADED)
        full_picture(page, f"debates-{name}-{theme}-{size}")
        assert (name, violations(page)) == (name, [])
        assert (name, page.evaluate("document.documentElement.scrollWidth")) == (name, page.viewport_size["width"])  # type: ignore[index]
        if size == "phone" and name not in ("lobby", "print", "shared"):
            assert (name, small_targets(page)) == (name, [])


def test_on_paper_nothing_is_folded_or_cut_off(page: Page, ended: Debate) -> None:
    page.goto(f"/debates/{ended.pk}/print/")
    page.emulate_media(media="print")
    expect(page.get_by_text("The last inspection was in 2019.")).to_be_visible()
    expect(page.get_by_text("Analyst speaks in round 0.")).to_be_visible()
    expect(page.get_by_role("link", name="Back to the debate")).to_be_hidden()
    page.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 dots an inch
    full_picture(page, "debates-paper")
    cut = "box => box.scrollWidth > box.clientWidth + 1"
    assert [box.evaluate(cut) for box in page.locator(".scroll-x").all()] == [False] * 3


def full_picture(page: Page, name: str) -> None:
    """The page scrolls inside: for the picture it is as high as what it holds."""
    size = page.viewport_size
    assert size
    height = page.evaluate("(document.querySelector('.page') ?? document.body).scrollHeight") + 60
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(height, 6000))})
    picture(page, name)
    page.set_viewport_size(size)
