"""Starts the product on empty data with its own model, has a few conversations and a debate, and takes pictures."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from playwright.sync_api import Page, expect, sync_playwright  # noqa: E402

from lobby.embedded.home import free_port  # noqa: E402
from tests.chromium import find  # noqa: E402

CHAT, STAGE = PROJECT / "docs" / "chat.png", PROJECT / "docs" / "debate.png"
STARTING = 120  # seconds
PATIENCE = 25  # seconds for an answer: a small model may not find an end
ASKED = [
    ("researcher", "Who invented the printing press, and when?"),
    ("skeptic", "Is it true that we use only ten percent of our brain?"),
    ("pragmatist", "Name three reasons to write things down."),
]
SHOWN = ("assistant", "Write a short Python function that checks whether a word is a palindrome, and explain it.")
DEBATED = ("Should a small town build a public swimming pool or a library?", "A swimming pool\nA library")
DEBATING = 300  # seconds until a second round is on
TRIES = 6  # until that answer holds code and has an end


@contextmanager
def lobby(home: str) -> Iterator[str]:
    """The product, running; its one-time sign-in link."""
    given = {"OLLAMA_HOST", "DATABASE_URL", "REDIS_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in given} | {"LOBBY_HOME": home}
    command = [sys.executable, "-m", "lobby.cli", "up", "--no-browser", "--port", str(free_port())]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=environment, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        try:
            yield link_in(process)
        finally:
            process.send_signal(signal.SIGTERM)  # a shell may have us ignore SIGINT


def link_in(process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + STARTING
    for line in process.stdout or ():
        if found := re.search(r"http\S+/welcome/\S+", line):
            return found[0]
        if time.monotonic() > deadline:
            break
    sys.exit("The product did not start.")


def ask(page: Page, slug: str, question: str) -> None:
    page.goto(f"/chat/new/{slug}/")
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/chat/[0-9a-f]{8}-"))


def wait_for_end(page: Page) -> bool:
    """Whether the answer came to its end; if it took too long, it was stopped."""
    last = page.locator(".message").last
    try:
        expect(last).to_have_attribute("data-status", "done", timeout=PATIENCE * 1000)
    except AssertionError:
        page.keyboard.press("Escape")
        expect(last).not_to_have_attribute("data-status", "writing", timeout=PATIENCE * 1000)
        return False
    return True


def fill_the_side_bar(page: Page) -> None:
    for slug, question in ASKED:
        ask(page, slug, question)
        wait_for_end(page)


def take(link: str) -> None:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=find(), args=arguments)
        page = browser.new_page(
            base_url=link.partition("/welcome/")[0], color_scheme="light", viewport={"width": 1280, "height": 800}
        )
        page.goto(link)
        fill_the_side_bar(page)
        for _ in range(TRIES):
            ask(page, *SHOWN)
            if wait_for_end(page) and page.locator(".message .code").count() == 1:
                break
        page.get_by_label("Your question").blur()
        page.mouse.move(0, 0)
        page.screenshot(path=CHAT)
        debate(page)
        page.screenshot(path=STAGE)
        browser.close()


def debate(page: Page) -> None:
    """Until seats speak with the first votes behind them."""
    page.set_viewport_size({"width": 1280, "height": 1900})
    page.goto("/debates/new/")
    page.get_by_label("Question", exact=True).fill(DEBATED[0])
    page.get_by_label("Options, one per line").fill(DEBATED[1])
    page.get_by_label("Speech, tokens").fill("90")
    page.get_by_role("button", name="Start the debate").click()
    page.wait_for_url(re.compile(r"/debates/[0-9a-f]{8}-"))
    expect(page.locator(".round-bar > .is-now")).to_contain_text("Round 1", timeout=DEBATING * 1000)
    speaking = page.locator(".lane lobby-reply[aria-busy=true] .prose.live p")
    expect(speaking.first).to_be_visible(timeout=DEBATING * 1000)
    page.wait_for_timeout(2_000)  # a few words more


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lobby-pictures-") as home, lobby(home) as link:
        take(link)
    print(f"Wrote {CHAT.relative_to(PROJECT)} and {STAGE.relative_to(PROJECT)}.")
