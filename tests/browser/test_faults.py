"""What has bitten every product of this kind: reload, stop, lost networks, double clicks, huge texts."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from agents.models import Run
from chat.models import Conversation, Message
from lobby.embedded.child import Child
from lobby.markdown import render
from tests.browser.doing import SENT, ask, is_done, is_writing, last_reply, says, start_chat
from tests.factories import make_message
from tests.fake_ollama import FakeOllama, expected_text
from tests.waiting import wait_for

LIVE_LENGTH = "document.querySelector('lobby-reply .live')?.textContent.length ?? 0"


def live_length(page: Page) -> int:
    return int(page.evaluate(LIVE_LENGTH))


def test_a_reload_mid_stream_loses_and_repeats_nothing(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=400, rate=50, hold_after=200)
    start_chat(page, "A long one")
    for _ in range(3):
        is_writing(page)
        page.reload()
    expect(last_reply(page).locator(".live")).to_contain_text(expected_text(200).strip())  # it goes on by itself
    text = last_reply(page).locator(".live").text_content() or ""
    assert expected_text(400).startswith(text.strip())
    fake.release()
    is_done(page)
    says(last_reply(page), expected_text(400).strip())


def test_stop_before_the_first_token_closes_the_connection_to_the_model(
    page: Page, worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=10, first_token_delay=60)
    start_chat(page, "Are you there?")
    fake.wait_until(lambda stats: stats.open_now == 1)
    page.get_by_role("button", name="Stop the reply").click()
    fake.wait_until(lambda stats: stats.open_now == 0)  # long before the first token is due
    expect(last_reply(page)).to_contain_text("Stopped before the first word")
    assert fake.stats.disconnects == 1
    assert fake.stats.streams[0].end == "left"


def test_the_stream_goes_on_while_another_conversation_is_open(
    page: Page, worker: Child, fake: FakeOllama, conversation: Conversation
) -> None:
    fake.script(tokens=150, rate=50, hold_after=50)
    first = start_chat(page, "A long one")
    is_writing(page)
    page.goto(f"/chat/{conversation.pk}/")
    expect(page.get_by_text("A promise with an end.")).to_be_visible()
    expect(page.locator(".conversation .pulse")).to_be_visible()
    page.goto(f"/chat/{first}/")
    is_writing(page)
    fake.release()
    is_done(page)
    says(last_reply(page), expected_text(150).strip())


def test_a_lost_network_is_said_and_what_was_missed_comes_after_it(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=400, rate=50, hold_after=200)
    start_chat(page, "A long one")
    is_writing(page)
    page.context.set_offline(True)
    expect(page.get_by_text("Offline, waiting for the network…")).to_be_visible()
    fake.wait_until(lambda stats: stats.streams[0].tokens == 200)
    page.context.set_offline(False)
    expect(page.get_by_text("Offline, waiting for the network…")).to_be_hidden()
    expect(last_reply(page).locator(".live")).to_have_text(expected_text(200).strip())
    fake.release()
    is_done(page)
    says(last_reply(page), expected_text(400).strip())


def test_a_double_click_asks_once(page: Page, worker: Child, fake: FakeOllama) -> None:
    page.goto("/chat/new/analyst/")
    page.get_by_label(SENT).fill("Once, please")
    page.get_by_role("button", name="Send").dblclick()
    is_done(page)
    assert Conversation.objects.count() == 1
    assert Message.objects.filter(role="user").count() == 1
    assert Run.objects.filter(purpose="chat.reply").count() == 1


def test_two_tabs_with_the_same_draft_ask_once(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=100, rate=50)
    page.goto("/chat/new/analyst/")
    page.get_by_label(SENT).fill("Once, please")
    wait_for(lambda: page.evaluate("localStorage.getItem('lobby:draft:new')"))
    other = page.context.new_page()
    other.goto("/chat/new/analyst/")
    expect(other.get_by_label(SENT)).to_have_value("Once, please")
    for tab in (page, other):  # neither waits for the other
        tab.evaluate("document.querySelector('lobby-composer form').requestSubmit()")
    for tab in (page, other):
        is_done(tab)
        says(last_reply(tab), expected_text(100).strip())
    assert Conversation.objects.count() == 1
    assert Message.objects.filter(role="user").count() == 1
    assert Run.objects.filter(purpose="chat.reply").count() == 1


def test_a_question_whose_answer_got_lost_is_not_asked_twice(page: Page, worker: Child, fake: FakeOllama) -> None:
    page.goto("/chat/new/analyst/")
    page.route("**/api/conversations/*/messages", lambda route: (route.fetch(), route.abort())[0], times=1)
    ask(page, "Did you hear me?")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(page.get_by_label(SENT)).to_have_value("Did you hear me?")
    page.get_by_role("button", name="Send").click()
    is_done(page)
    assert Message.objects.filter(role="user").count() == 1
    assert Run.objects.filter(purpose="chat.reply").count() == 1


WIDTH = 8  # characters of one of the fake's tokens
LONGEST = 250  # milliseconds of work in one task


@contextmanager
def no_long_task(browser: Browser, page: Page) -> Iterator[None]:
    """Of the page's main thread, in processor time: what others do on the machine makes no task longer."""
    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
    try:
        yield
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {(one["pid"], one["tid"]) for one in events if one["args"].get("name") == "CrRendererMain"}
    tasks = [one for one in events if one["name"] == "RunTask" and (one["pid"], one["tid"]) in threads]
    longest = max(one["tdur"] for one in tasks if "tdur" in one) / 1000
    print(f"longest of {len(tasks)} tasks: {longest:.0f} ms")
    assert longest < LONGEST


def busy_ms(session: CDPSession) -> float:
    """The processor time of the page's main thread since `Performance.enable`, in ms."""
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return 1000 * float(metrics["ThreadTime"])


def cost_per_token(page: Page, fake: FakeOllama, conversation: Conversation, *, tokens: int) -> float:
    """In ms of the page's main thread, between the first tokens and half of the reply."""
    fake.script(tokens=tokens, rate=200)
    page.goto(f"/chat/{conversation.pk}/")
    ask(page, f"Go, {conversation.pk}")
    wait_for(lambda: live_length(page) > 1_000)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    began, at_first = busy_ms(session), live_length(page)
    wait_for(lambda: live_length(page) > tokens * WIDTH // 2)
    ended, at_last = busy_ms(session), live_length(page)
    is_done(page)
    assert at_last > at_first + 500
    return (ended - began) / ((at_last - at_first) / WIDTH)


def test_the_cost_per_token_does_not_grow_with_the_chats_length(
    page: Page, worker: Child, fake: FakeOllama, conversation: Conversation
) -> None:
    from tests.factories import make_conversation

    short = conversation
    long = make_conversation(owner=short.owner, agent=short.agent, title="Long")
    page_of_text = "A paragraph of a long chat, with *some* emphasis and `code`.\n\n" * 200
    for number in range(60):
        role = Message.Role.ASSISTANT if number % 2 else Message.Role.USER
        html = render(page_of_text) if number % 2 else ""
        make_message(long, parent=long.head, role=role, text=page_of_text if number % 2 else "More.", html=html)
    cost_per_token(page, fake, short, tokens=500)  # to warm up
    in_short = cost_per_token(page, fake, short, tokens=1000)
    in_long = cost_per_token(page, fake, long, tokens=1000)
    print(f"ms of main thread per token: {in_short:.2f} in a short chat, {in_long:.2f} in one of 400 kB")
    assert 0 < in_long < 2 * in_short + 0.2


def test_a_reply_of_a_megabyte_stays_smooth(browser: Browser, page: Page, worker: Child, fake: FakeOllama) -> None:
    words = 1_000_000 // 8
    fake.script(tokens=[f"{number:06d}{chr(10) * 2 if number % 60 == 59 else '  '}" for number in range(words)])
    with no_long_task(browser, page):
        start_chat(page, "A megabyte")
        wait_for(lambda: live_length(page) > 100_000)
        page.get_by_label(SENT).fill("I can type meanwhile")
        expect(last_reply(page)).to_have_attribute("data-status", "done", timeout=120_000)
    expect(last_reply(page)).to_contain_text(f"{words - 1:06d}")
    assert page.evaluate("document.querySelectorAll('.message').length") == 2


def test_ten_thousand_lines_of_code_stay_smooth_and_are_copied_whole(
    browser: Browser, page: Page, worker: Child, fake: FakeOllama
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lines = [f"line_{number} = '{number:05d}'  # of ten thousand\n" for number in range(10_000)]
    fake.script(tokens=["```python\n", *lines, "```\n"])
    with no_long_task(browser, page):
        start_chat(page, "Write a lot")
        expect(last_reply(page)).to_have_attribute("data-status", "done", timeout=120_000)
    last_reply(page).get_by_role("button", name="Copy", exact=True).click()
    assert page.evaluate("navigator.clipboard.readText()") == "".join(lines)


def test_a_question_of_200_kb_is_taken_shown_folded_and_sent_whole(page: Page, worker: Child, fake: FakeOllama) -> None:
    question = "Why? " * 40_000
    fake.script(prompt_tokens=60_000, text="Because.")
    start_chat(page, question)
    is_done(page)
    assert Message.objects.get(role="user").text == question
    assert fake.stats.bodies[0]["messages"][-1]["content"] == question
    folded = page.locator(".question")
    assert folded.bounding_box()["height"] < 300  # type: ignore[index]
    page.get_by_role("button", name="Show all of it").click()
    assert folded.bounding_box()["height"] > 5_000  # type: ignore[index]


def test_a_second_browser_sees_the_same_stream(
    page: Page, open_context: Callable[..., BrowserContext], worker: Child, fake: FakeOllama
) -> None:
    fake.script(tokens=200, rate=50, hold_after=50)
    conversation = start_chat(page, "A long one")
    is_writing(page)
    second = open_context().new_page()
    second.goto(f"/chat/{conversation}/")
    is_writing(second)
    fake.release()
    for one in (page, second):
        is_done(one)
        says(last_reply(one), expected_text(200).strip())
