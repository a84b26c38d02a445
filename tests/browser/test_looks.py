"""For everybody: no accessibility violation on any page, light and dark, wide and on a phone; keys and themes."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from agents.models import Agent, Host
from chat.models import Conversation, Message
from lobby.embedded.child import Child
from lobby.markdown import render
from tests.browser.conftest import picture
from tests.browser.doing import SENT, is_writing, start_chat, until
from tests.factories import make_message, make_run
from tests.fake_ollama import FakeOllama

AXE = (Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js").read_text()
UPGRADED = "!document.querySelector('lobby-thread') || !!customElements.get('lobby-thread')"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
RICH = """## What it is

A **promise** with [an end](https://example.org), and `code`:

```python
def claim() -> bool:  # ours?
    return True
```

| who | what |
| --- | ---: |
| holder | 1 |

1. one
2. two

> quoted
"""


@pytest.fixture
def rich(conversation: Conversation) -> Conversation:
    """Every kind of message there is."""
    run = make_run(owner=conversation.owner, agent=conversation.agent, status="done", output_tokens=12)
    _reply(conversation, RICH, run=run, thinking="Let me see.", trimmed=3)
    _reply(
        conversation, "", status="failed", run=make_run(owner=conversation.owner, status="failed", error="It broke.")
    )
    _reply(conversation, "Half", status="cancelled")
    _reply(conversation, "Half", status="interrupted")
    return conversation


def _reply(conversation: Conversation, text: str, **fields: Any) -> None:
    question = make_message(conversation, parent=conversation.head, text="And " + "on " * 700)
    make_message(conversation, parent=question, role=Message.Role.ASSISTANT, text=text, html=render(text), **fields)


@pytest.mark.parametrize("size", ["wide", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_an_accessibility_violation(
    open_context: Callable[..., BrowserContext], rich: Conversation, theme: str, size: str
) -> None:
    page = open_context(color_scheme=theme, **(PHONE if size == "phone" else WIDE)).new_page()
    pages = {
        "home": "/",
        "new": "/chat/new/analyst/",
        "chat": f"/chat/{rich.pk}/",
        "missing": "/none/",
        "password": "/password/",
        "use": "/account/use/",
    }
    for name, address in pages.items():
        page.goto(address)
        until(page, UPGRADED)
        picture(page, f"{name}-{theme}-{size}")
        assert violations(page) == []
    page.context.clear_cookies()
    page.goto("/sign-in/")
    picture(page, f"sign-in-{theme}-{size}")
    assert violations(page) == []


def test_what_opens_has_no_violation_either(page: Page, rich: Conversation) -> None:
    page.goto(f"/chat/{rich.pk}/")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Who answers: Analyst").click()
    expect(page.get_by_role("menu", name="Who answers")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def test_the_theme_follows_the_system_until_it_is_chosen_and_stays(page: Page, agent: Agent) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/")
    light = background(page)
    page.get_by_role("button", name="Switch between light and dark").click()
    dark = background(page)
    assert dark != light
    page.reload()
    assert background(page) == dark
    page.get_by_role("button", name="Switch between light and dark").click()
    assert background(page) == light
    page.emulate_media(color_scheme="dark")
    assert background(page) == dark


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_keys_open_the_list_of_keys_and_a_new_chat(page: Page, conversation: Conversation) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    page.locator(".scroller").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.keyboard.press("Control+Shift+O")
    page.wait_for_url("**/chat/new/")
    expect(page.get_by_label(SENT)).to_be_focused()


def test_menus_work_by_keyboard(page: Page, conversation: Conversation) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    page.get_by_role("button", name="Who answers: Analyst").press("Enter")
    expect(page.get_by_role("menuitemradio", name="Analyst")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitemradio", name="Skeptic")).to_be_focused()
    page.keyboard.press("a")
    expect(page.get_by_role("menuitemradio", name="Analyst")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Who answers: Analyst")).to_be_focused()


def test_on_a_phone_the_side_bar_is_a_drawer(
    open_context: Callable[..., BrowserContext], conversation: Conversation
) -> None:
    page = open_context(**PHONE).new_page()
    page.goto(f"/chat/{conversation.pk}/")
    expect(page.get_by_role("link", name="New chat")).to_be_hidden()
    page.get_by_role("button", name="Open the side bar").click()
    expect(page.get_by_role("link", name="New chat")).to_be_visible()
    picture(page, "drawer-phone")
    page.get_by_role("button", name="Close the side bar").click()
    expect(page.get_by_role("link", name="New chat")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert small_targets(page) == []


def small_targets(page: Page) -> list[str]:
    """Buttons that a finger would miss: lower or narrower than 44 px."""
    return list(
        page.evaluate("""() => [...document.querySelectorAll("main button")].filter(button => {
            const {width, height} = button.getBoundingClientRect();
            return width > 0 && (width < 44 || height < 44);
        }).map(button => button.getAttribute("aria-label") ?? button.textContent)""")
    )


def test_home_says_that_the_demonstration_model_answers_and_how_to_connect_another(page: Page, agent: Agent) -> None:
    Host.objects.update(is_embedded=True)
    page.goto("/")
    note = page.get_by_role("complementary", name="Which model answers")
    expect(note).to_contain_text("A small demonstration model answers here: fake:latest.")
    note.get_by_text("Connect your own Ollama").click()
    expect(note).to_contain_text("OLLAMA_HOST=http://localhost:11434 scripts/up")


def test_the_lobby_shows_who_is_busy_as_it_happens(
    page: Page, open_context: Callable[..., BrowserContext], worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=400, rate=40, hold_after=100)
    page.goto("/")
    expect(page.locator(".agent", has_text="Analyst")).to_contain_text("ready")
    chat = open_context().new_page()
    start_chat(chat, "Count slowly")
    is_writing(chat)
    expect(page.locator(".agent", has_text="Analyst")).to_contain_text("answering 1")
    expect(page.locator(".recent")).to_contain_text("Count slowly")
    chat.keyboard.press("Escape")
    expect(page.locator(".agent", has_text="Analyst")).to_contain_text("ready")


def test_home_says_when_no_model_can_answer(page: Page, agent: Agent) -> None:
    Host.objects.update(state="down", state_reason="It refuses connections.")
    page.goto("/")
    expect(page.get_by_role("complementary", name="Which model answers")).to_contain_text("It refuses connections.")
    expect(page.locator(".agent", has_text="Analyst")).to_contain_text("model host is down")


def test_first_load_of_scripts_stays_small(page: Page, conversation: Conversation) -> None:
    """60 kB gzipped is the limit of the design; measured as a server that compresses would send them."""
    page.goto(f"/chat/{conversation.pk}/")
    until(page, UPGRADED)
    scripts = scripts_of(page)
    assert {"thread.js", "smd.min.js"} < scripts.keys()
    assert sum(scripts.values()) < 60_000


def scripts_of(page: Page) -> dict[str, int]:
    """The bytes of each script that the page has loaded by now, gzipped."""
    found = page.evaluate("""performance.getEntriesByType("resource").map(one => one.name)""")
    scripts = {url for url in found if url.endswith(".js")}
    return {url.rpartition("/")[2]: len(gzip.compress(page.request.get(url).body())) for url in scripts}
