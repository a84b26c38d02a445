"""What somebody does who chats."""

from playwright.sync_api import Page, expect

from agents.models import Agent, Run
from chat.models import Conversation, Message
from lobby.embedded.child import Child
from tests.browser.doing import SENT, ask, is_done, is_writing, last_reply, says, shown, start_chat
from tests.fake_ollama import FakeOllama, expected_text
from tests.waiting import wait_for


def test_a_question_streams_its_answer_with_figures(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=40, rate=60, hold_after=20)
    start_chat(page, "What is a lease?")
    is_writing(page)
    expect(page.get_by_role("status").filter(has_text="Analyst is answering")).to_be_attached()
    fake.release()
    is_done(page)
    says(last_reply(page), expected_text(40).strip())
    expect(last_reply(page).locator(".figures")).to_contain_text("40 tokens")
    expect(last_reply(page).locator(".figures")).to_contain_text("first token")
    expect(page.get_by_role("status").filter(has_text="Analyst finished, 40 words")).to_be_attached()


def test_a_reply_is_rendered_and_code_can_be_copied(page: Page, worker: Child, fake: FakeOllama) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    fake.script(text="## Lease\n\nA *promise*:\n\n```python\nprint('until when')\n```\n\ndone")
    start_chat(page, "Show me")
    is_done(page)
    reply = last_reply(page)
    expect(reply.get_by_role("heading", name="Lease")).to_be_visible()
    expect(reply.locator(".code-language")).to_have_text("python")
    reply.get_by_role("button", name="Copy", exact=True).click()
    expect(reply.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "print('until when')\n"


def test_thinking_is_folded_above_the_answer(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(thinking=["first ", "then"], tokens=5, rate=30)
    start_chat(page, "Think")
    is_done(page)
    thoughts = last_reply(page).locator(".thoughts")
    expect(thoughts).to_be_hidden()
    last_reply(page).get_by_text("Thoughts").click()
    expect(thoughts).to_have_text("first then")


def test_a_reply_is_stopped_by_escape_and_goes_on_by_continue(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=400, rate=40, hold_after=100)
    start_chat(page, "A long one")
    is_writing(page)
    page.keyboard.press("Escape")
    expect(last_reply(page)).to_have_attribute("data-status", "cancelled")
    fake.wait_until(lambda stats: stats.open_now == 0)
    kept = shown(last_reply(page))
    assert expected_text(400).startswith(kept)
    fake.script(text="and so on.")
    last_reply(page).get_by_role("button", name="Continue").click()
    is_done(page)
    says(last_reply(page), f"{kept} and so on.")


def test_answer_again_makes_a_version_that_can_be_switched(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(text="Second.")
    fake.script(text="First.", times=1)
    fake.script(text="Title", containing="title")
    start_chat(page, "Why?")
    is_done(page)
    last_reply(page).hover()
    last_reply(page).get_by_role("button", name="Answer again").click()
    page.get_by_role("menuitem", name="Skeptic").click()
    expect(last_reply(page).locator(".branches")).to_contain_text("2/2")
    is_done(page)
    says(last_reply(page), "Second.")
    expect(last_reply(page).locator(".who")).to_have_text("Skeptic")
    last_reply(page).get_by_role("button", name="Previous version").click()
    expect(last_reply(page).locator(".branches")).to_contain_text("1/2")
    says(last_reply(page), "First.")


def test_a_question_is_edited_in_place_and_both_branches_stay(page: Page, worker: Child, fake: FakeOllama) -> None:
    start_chat(page, "Wat is a lease?")
    is_done(page)
    page.get_by_label(SENT).press("ArrowUp")
    box = page.get_by_label("Edit the question")
    expect(box).to_have_value("Wat is a lease?")
    box.fill("What is a lease?")
    box.press("Enter")
    question = page.locator(".message.is-mine").last
    expect(question.locator(".question")).to_have_text("What is a lease?")
    is_done(page)
    question.get_by_role("button", name="Previous version").click()
    expect(question.locator(".question")).to_have_text("Wat is a lease?")
    is_done(page)


def test_a_failure_says_why_and_is_tried_again(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(status=404, body='{"error":"model \'fake:latest\' not found"}', times=1)
    start_chat(page, "Will it work?")
    expect(last_reply(page)).to_have_attribute("data-status", "failed")
    expect(last_reply(page).get_by_role("group", name="What went wrong")).to_contain_text("fake:latest")
    last_reply(page).get_by_role("button", name="Try again").click()
    is_done(page)
    assert Message.objects.filter(role="assistant").count() == 1


def test_the_question_and_its_reason_stay_when_it_is_refused(page: Page, agent: Agent) -> None:
    page.goto("/chat/new/analyst/")
    Agent.objects.filter(pk=agent.pk).update(is_active=False)
    ask(page, "Are you there?")
    expect(page.get_by_role("alert")).to_contain_text("switched off")
    expect(page.get_by_label(SENT)).to_have_value("Are you there?")


def test_a_question_typed_while_the_reply_is_written_waits(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=400, rate=40, hold_after=100)
    start_chat(page, "A long one")
    is_writing(page)
    ask(page, "And then?")
    expect(page.get_by_role("alert")).to_contain_text("still being written")
    expect(page.get_by_label(SENT)).to_have_value("And then?")
    page.get_by_role("button", name="Stop the reply").click()
    expect(last_reply(page)).to_have_attribute("data-status", "cancelled")


def test_the_limit_is_said_before_it_is_met(page: Page, agent: Agent) -> None:
    page.goto("/chat/new/analyst/")
    box = page.get_by_label(SENT)
    box.fill("x" * 450_000)
    expect(page.locator(".count")).to_have_text("450,000 of 500,000 characters")
    box.fill("x" * 500_003)
    expect(page.locator(".count")).to_contain_text("3 too many")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("too long")
    assert Conversation.objects.count() == 0
    assert len(box.input_value()) == 500_003


def test_another_agent_answers_the_next_question(page: Page, worker: Child, conversation: Conversation) -> None:
    page.goto(f"/chat/{conversation.pk}/")
    page.get_by_role("button", name="Who answers: Analyst").click()
    page.get_by_role("menuitemradio", name="Skeptic").click()
    expect(page.get_by_role("button", name="Who answers: Skeptic")).to_be_visible()
    ask(page, "And you?")
    is_done(page)
    expect(last_reply(page).locator(".who")).to_have_text("Skeptic")


def test_a_draft_survives_reload_and_is_gone_once_accepted(page: Page, worker: Child) -> None:
    page.goto("/chat/new/analyst/")
    page.get_by_label(SENT).fill("Half a thou")
    page.reload()
    expect(page.get_by_label(SENT)).to_have_value("Half a thou")
    start_chat(page, "A whole thought")
    is_done(page)
    expect(page.get_by_label(SENT)).to_have_value("")
    page.goto("/chat/new/analyst/")
    expect(page.get_by_label(SENT)).to_have_value("")


def test_a_waiting_reply_says_its_place_in_line(page: Page, worker: Child, fake: FakeOllama, agent: Agent) -> None:
    from agents.models import Host

    Host.objects.update(max_parallel=1)
    fake.script(tokens=2000, rate=20, hold_after=40)
    first = page.context.new_page()
    start_chat(first, "Hold the line")
    is_writing(first)
    start_chat(page, "Me next")
    expect(last_reply(page)).to_contain_text("1st in line")
    page.keyboard.press("Escape")
    expect(last_reply(page)).to_contain_text("Stopped before the first word")
    first.keyboard.press("Escape")
    wait_for(lambda: not Run.objects.unfinished().exists())


def test_older_messages_come_when_the_reader_scrolls_up(page: Page, conversation: Conversation) -> None:
    from tests.factories import make_message

    for number in range(80):
        role = Message.Role.ASSISTANT if number % 2 else Message.Role.USER
        make_message(conversation, parent=conversation.head, role=role, text=f"Line {number}\n" * 5)
    page.goto(f"/chat/{conversation.pk}/")
    expect(page.locator(".message")).to_have_count(30)
    expect(page.get_by_text("Line 79").first).to_be_in_viewport()
    for count in (60, 82):
        page.locator(".scroller").evaluate("scroller => { scroller.scrollTop = 0 }")
        expect(page.locator(".message")).to_have_count(count)
    page.locator(".scroller").evaluate("scroller => { scroller.scrollTop = 0 }")
    expect(page.get_by_text("What is a lease?")).to_be_in_viewport()
    page.get_by_role("button", name="Jump to the newest message").click()
    expect(page.get_by_text("Line 79").first).to_be_in_viewport()


def test_the_view_follows_the_text_until_the_reader_scrolls(page: Page, worker: Child, fake: FakeOllama) -> None:
    fake.script(tokens=["Line by line.\n\n"] * 4000, rate=100, hold_after=400)
    start_chat(page, "A long one")
    jump = page.get_by_role("button", name="Jump to the newest message")
    wait_for(lambda: page.evaluate("document.querySelector('.scroller').scrollTop") > 300)
    expect(jump).to_be_hidden()
    page.mouse.move(700, 400)
    page.mouse.wheel(0, -200)
    expect(jump).to_be_visible()
    place = page.evaluate("document.querySelector('.scroller').scrollTop")
    length = len(shown(last_reply(page)))
    fake.release()
    wait_for(lambda: len(shown(last_reply(page))) > length + 500)
    assert abs(page.evaluate("document.querySelector('.scroller').scrollTop") - place) <= 1
    jump.click()
    expect(jump).to_be_hidden()
    page.keyboard.press("Escape")


def test_news_in_the_side_bar_leave_the_focus_where_it_is(
    page: Page, worker: Child, fake: FakeOllama, conversation: Conversation
) -> None:
    fake.script(text="Short.")
    page.goto(f"/chat/{conversation.pk}/")
    ask(page, "And?")
    expect(page.locator(".conversation .pulse")).to_have_count(0)
    is_done(page)
    expect(page.locator(".conversation .title")).to_have_text("Short")  # the model's title: the list came anew
    expect(page.get_by_label(SENT)).to_be_focused()


def test_trimming_is_said_above_the_answer(page: Page, conversation: Conversation) -> None:
    conversation.messages.filter(role="assistant").update(trimmed=4)
    page.goto(f"/chat/{conversation.pk}/")
    expect(last_reply(page)).to_contain_text("4 older messages did not fit")
