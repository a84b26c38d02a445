"""Processes die while a reply is written; the page goes on. The workers here are this module's own, to be killed."""

import os
import signal
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from agents.models import Agent, Run, Worker
from chat.models import Message
from tests.browser.conftest import session_of
from tests.browser.doing import ask, is_done, is_writing, last_reply, says, start_chat
from tests.fake_ollama import FakeOllama, expected_text
from tests.processes import beat_process, child_port, web_process, worker_process
from tests.waiting import wait_for


@pytest.fixture
def workers(agent: Agent) -> Iterator[None]:
    """Two, and the beat that notices when one dies."""
    with worker_process(), worker_process(), beat_process():
        yield


def test_a_restart_of_the_web_server_loses_nothing(page: Page, workers: None, fake: FakeOllama, alice: User) -> None:
    fake.script(tokens=600, rate=50, hold_after=300)
    with web_process() as first:
        port = child_port(first)
        page.context.add_cookies([{"name": "sessionid", "value": session_of(alice), "url": first.url}])
        page.goto(f"{first.url}/chat/new/analyst/")
        ask(page, "A long one")
        is_writing(page)
        os.kill(first.pid, signal.SIGKILL)
        expect(page.get_by_text("Reconnecting…")).to_be_visible()
    with web_process(port=port):
        expect(page.get_by_text("Reconnecting…")).to_be_hidden()
        is_writing(page)
        fake.release()
        is_done(page)
        says(last_reply(page), expected_text(600).strip())


def test_a_reply_goes_on_when_its_worker_is_killed(page: Page, workers: None, fake: FakeOllama) -> None:
    fake.script(tokens=300, rate=50, hold_after=100)
    start_chat(page, "A long one")
    is_writing(page)
    run = Run.objects.running().get(purpose="chat.reply")
    os.kill(Worker.objects.get(pk=str(run.worker)).pid, signal.SIGKILL)
    wait_for(lambda: Run.objects.get(pk=run.pk).attempt == 2, seconds=30)
    is_writing(page)
    fake.release()
    is_done(page)
    says(last_reply(page), expected_text(300).strip())
    assert Message.objects.filter(role="assistant").count() == 1
