"""What a model says is text of a stranger: live and finished, it runs nothing and asks nothing of other sites."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from lobby.embedded.child import Child
from tests.browser.doing import ask, is_done, last_reply, start_chat
from tests.fake_ollama import FakeOllama

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=https://evil.example/pixel.png>",
    "<svg onload=alert(1)><animate onbegin=alert(1)></svg>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<style>@import 'https://evil.example/a.css';</style>",
    "<link rel=stylesheet href=https://evil.example/b.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<form action=https://evil.example/><button>go</button></form>",
    "<a href='javascript:alert(1)'>raw</a>",
    "<details open ontoggle=alert(1)>x</details>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<b <script>alert(1)</script>0",
    "![pixel](https://evil.example/pixel.png)",
    "![a](javascript:alert(1))",
    "![a](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[![x](https://evil.example/y.png)](javascript:alert(1))",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java\tscript:alert(1))",
    "[click]( javascript:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](\\javascript:alert(1))",
    "[click](data:text/html,<script>alert(1)</script>)",
    "[click](vbscript:msgbox(1))",
    "[click](//evil.example/x)",
    "[click](blob:https://evil.example/x)",
    '[click](https://evil.example/"onmouseover="alert(1))',
    "<javascript:alert(1)>",
    "<https://evil.example/fine>",
    "https://evil.example/`onclick=alert(1)",
    "`<img src=x onerror=alert(1)>`",
    '```"onmouseover=alert(1)\n<img src=x onerror=alert(1)>\n```',
    "```<script>alert(1)</script>\ncode\n```",
    "| <img src=x onerror=alert(1)> | b |\n| --- | --- |\n| [x](javascript:alert(1)) | d |",
    "> - 1. <img src=x onerror=alert(1)>",
    "# <img src=x onerror=alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
    "$<img src=x onerror=alert(1)>$ and $$\n<img src=x onerror=alert(1)>\n$$",
    "- [x] <img src=x onerror=alert(1)>",
    "{{ 7*7 }} {% raw %} ${alert(1)} <%= 1 %>",
]
DANGER = """element => [
    ...element.querySelectorAll("script, img, svg:not(.icon), iframe, object, embed, style, link, meta, form, base"),
    ...[...element.querySelectorAll("*")].filter(one => [...one.attributes].some(({name, value}) =>
        name.startsWith("on") || name === "style" || name === "srcdoc"
        || (["href", "src", "action", "formaction", "xlink:href"].includes(name)
            && !/^(https?:|mailto:|#i-)/.test(value)))),
].map(one => one.outerHTML)"""


@pytest.fixture
def foreign(page: Page) -> list[str]:
    """Requests to other sites; a dialog fails at once."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            asked.append(request.url)

    page.on("request", note)
    page.on("dialog", lambda dialog: asked.append(f"dialog: {dialog.message}"))
    return asked


def test_no_payload_runs_or_calls_out_while_it_streams_or_after(
    page: Page, worker: Child, fake: FakeOllama, foreign: list[str]
) -> None:
    pieces = [character for payload in PAYLOADS for character in f"{payload}\n\n"]
    fake.script(tokens=[*pieces, "held open ", "to the end"], hold_after=len(pieces) + 1)
    start_chat(page, "Be nasty")
    live = last_reply(page).locator(".prose.live")
    expect(live).to_contain_text("held open")
    assert live.evaluate(DANGER) == []
    page.keyboard.press("Escape")
    expect(last_reply(page)).to_have_attribute("data-status", "cancelled")
    expect(last_reply(page).locator(".prose.live")).to_have_count(0)
    assert last_reply(page).evaluate(DANGER) == []
    page.reload()
    assert last_reply(page).evaluate(DANGER) == []
    for link in last_reply(page).locator("a").all():
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
    assert foreign == []


def test_nothing_of_a_title_a_thought_or_a_question_is_markup(
    page: Page, worker: Child, fake: FakeOllama, foreign: list[str]
) -> None:
    nasty = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    fake.script(thinking=[nasty], text=nasty)
    fake.script(text="", containing="Write a title for the conversation")  # so the question's words stay
    start_chat(page, nasty)
    is_done(page)
    expect(page.locator(".question")).to_have_text(nasty)
    expect(page.locator(".conversation .title")).to_contain_text("<img src=x")
    assert page.locator("body").evaluate("body => body.querySelectorAll('img, script').length") == 0
    page.get_by_label("Search all messages").fill("onerror")
    expect(page.locator(".conversation mark")).to_have_text("onerror")
    assert foreign == []


@pytest.mark.parametrize(
    "text",
    ["[a](" + "x" * 50_000, "```" + "y" * 50_000, "https://" + "z" * 50_000, ">" * 5_000, "- " * 5_000, "*_" * 20_000],
    ids=["link", "fence", "address", "quotes", "lists", "emphasis"],
)
def test_what_would_choke_a_parser_is_shown_all_the_same(
    page: Page, worker: Child, fake: FakeOllama, text: str
) -> None:
    fake.script(text="An end, after all.")
    fake.script(tokens=[text[at : at + 100] for at in range(0, len(text), 100)], times=1)
    start_chat(page, "Choke on it")
    is_done(page)
    ask(page, "Are you still there?")
    expect(last_reply(page)).to_contain_text("An end, after all.")
    is_done(page)
