"""A real browser on a real server with real workers and a scripted Ollama. Imports of models stand inside: this file is
read before the settings can be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chromium import find
from tests.fake_ollama import FakeOllama

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from playwright.sync_api import Browser, BrowserContext, Page

    from agents.models import Agent
    from chat.models import Conversation
    from lobby.embedded.child import Child

PICTURES = Path(__file__).resolve().parents[2] / "pictures"
ARGS = [
    *("--no-sandbox", "--disable-background-networking", "--disable-quic"),
    *("--no-first-run", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 30_000  # milliseconds, on a busy machine
LISTEN = """
    window.heard = [];
    window.WebSocket = class extends WebSocket {
        constructor(...args) {
            super(...args);
            this.addEventListener("message", ({ data }) => heard.push(JSON.parse(data).topic));
        }
    };
"""
MODEL = "fake:latest"
OF_THE_NETWORK = ("Failed to load resource", "WebSocket connection to")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.django_db(transaction=True))
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Of this package alone: while Playwright runs, its loop is this thread's."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    found = find()
    if found is None:
        pytest.fail("The browser tests need Chromium: run scripts/test, which gets one, or set CHROMIUM to its path.")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the loop is Playwright's; our rows are read by this thread only
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama([MODEL]) as server:
        yield server


@pytest.fixture(scope="package")
def web(django_db_setup: None, django_db_blocker: Any) -> Iterator[Child]:
    from tests.processes import web_process

    with django_db_blocker.unblock(), web_process() as process:
        yield process


@pytest.fixture(scope="module")
def module_worker(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[Child, list[Any]]]:
    """A worker, and the row of its lease."""
    from agents.models import Worker
    from tests.processes import worker_process

    with django_db_blocker.unblock(), worker_process() as process:
        yield process, list(Worker.objects.values())


@pytest.fixture
def worker(module_worker: tuple[Child, list[Any]], agent: Agent, fake: FakeOllama) -> Iterator[Child]:
    """Emptying the tables after each test takes the lease away: it is given back, and one worker serves a module."""
    from django.db.models.functions import Now

    from agents.models import Worker

    process, lease = module_worker
    Worker.objects.bulk_create([Worker(**row) for row in lease], ignore_conflicts=True)
    Worker.objects.update(seen_at=Now())
    yield process
    end_all_work(fake)
    lease[:] = Worker.objects.values()


def end_all_work(fake: FakeOllama) -> None:
    """Whatever became of the test: who still writes would stand in the way of the tables' being emptied."""
    from agents import runs
    from agents.models import Run
    from debates import controls
    from debates.errors import NotNow
    from debates.models import Debate
    from tests.waiting import nobody_else_asks, wait_for

    def is_quiet() -> bool:
        for debate in Debate.objects.exclude(status=Debate.Status.ENDED):
            with suppress(NotNow):
                controls.stop(debate)
        unfinished = list(Run.objects.unfinished())
        for run in unfinished:
            runs.cancel(run)
        return not unfinished and nobody_else_asks()

    fake.release()
    wait_for(is_quiet)


@pytest.fixture
def agent(transactional_db: None, fake: FakeOllama) -> Agent:
    from tests.factories import make_agent, make_host

    make_host(name="fake host", base_url=fake.url, models=(MODEL,), max_parallel=4)
    make_agent("skeptic", name="Skeptic", initials="Sk", colour="#d55e00", description="Names the weakest step.")
    return make_agent("analyst", name="Analyst", initials="An", colour="#0072b2", position=1)


@pytest.fixture
def alice(transactional_db: None) -> User:
    from tests.factories import make_user

    return make_user("alice")


@pytest.fixture
def open_context(browser: Browser, web: Child, alice: User) -> Iterator[Callable[..., BrowserContext]]:
    """A browser of alice's, signed in. Each test may open several."""
    opened = []

    def open_one(**options: Any) -> BrowserContext:
        context = browser.new_context(base_url=web.url, **options)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(LISTEN)
        context.add_cookies([{"name": "sessionid", "value": session_of(alice), "url": web.url}])
        opened.append(context)
        return context

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], request: pytest.FixtureRequest) -> Iterator[Page]:
    """Fails the test for any error on the console; leaves a picture of how it ended."""
    page = open_context(viewport={"width": 1280, "height": 800}).new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.errors = errors  # type: ignore[attr-defined]
    yield page
    picture(page, request.node.name)
    assert [error for error in errors if not error.startswith(OF_THE_NETWORK)] == []


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name[:80]}.png")


def session_of(user: User) -> str:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


@pytest.fixture
def conversation(alice: User, agent: Agent) -> Conversation:
    """A question and its finished answer."""
    from chat.models import Message
    from tests.factories import make_conversation, make_message

    begun = make_conversation(owner=alice, agent=agent, title="Leases")
    question = make_message(begun, text="What is a lease?")
    make_message(begun, parent=question, role=Message.Role.ASSISTANT, text="A promise with an end.")
    return begun
