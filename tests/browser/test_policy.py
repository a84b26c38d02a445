"""The content security policy holds on every page, and no page asks another site for anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from tests.waiting import wait_for

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from agents.models import Agent
    from chat.models import Conversation

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
WATCH = "addEventListener('securitypolicyviolation', event => console.error('CSP: ' + event.violatedDirective))"


@pytest.fixture
def visit(page: Page, web: Any) -> Callable[[str], Any]:
    """Opens a page and waits until nothing is being loaded; whatever went elsewhere fails the test."""
    strangers: list[str] = []
    page.add_init_script(WATCH)
    page.on("request", lambda request: None if is_ours(request.url, web.url) else strangers.append(request.url))

    def open_one(path: str) -> Any:
        answer = page.goto(path)
        page.wait_for_load_state("networkidle")
        assert strangers == []
        return answer

    return open_one


def is_ours(url: str, origin: str) -> bool:
    return url.startswith((origin, origin.replace("http:", "ws:"), "data:", "blob:"))


def policy(answer: Any) -> set[str]:
    return set(answer.header_value("content-security-policy").split("; "))


def errors(page: Page) -> list[str]:
    found: list[str] = page.errors  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("path", ["/", "/chat/new/analyst/", "/password/", "/nothing-here/", "/api/docs"])
def test_pages_keep_to_the_strict_policy(page: Page, visit: Callable[[str], Any], agent: Agent, path: str) -> None:
    assert policy(visit(path)) == set(STRICT.split("; "))
    assert [error for error in errors(page) if "404" not in error] == []


def test_conversation_keeps_to_the_strict_policy(
    page: Page, visit: Callable[[str], Any], conversation: Conversation
) -> None:
    assert policy(visit(f"/chat/{conversation.pk}/")) == set(STRICT.split("; "))
    assert errors(page) == []


def test_policy_really_stops_what_is_slipped_into_a_page(page: Page, visit: Callable[[str], Any]) -> None:
    visit("/password/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.stolen = 1\">')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.stolen = 1'}))")
    wait_for(lambda: page.evaluate("performance.getEntriesByType('resource').some(one => one.name.endsWith('/x'))"))

    assert page.evaluate("window.stolen") is None
    assert [error for error in errors(page) if error.startswith("CSP: script-src")] != []
    errors(page).clear()


def test_api_docs_show_the_operations(page: Page, visit: Callable[[str], Any]) -> None:
    visit("/api/docs")
    expect(page.get_by_text("/api/conversations/{id}/messages").first).to_be_visible()


@pytest.fixture
def admin_page(page: Page, alice: User, conversation: Conversation) -> Page:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    return page


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        "/admin/agents/agent/",
        "/admin/agents/agent/add/",
        "/admin/agents/host/",
        "/admin/agents/run/",
        "/admin/chat/conversation/",
        "/admin/monitoring/auditevent/",
    ],
)
def test_admin_works_under_its_own_policy_and_logs_no_violation(
    admin_page: Page, visit: Callable[[str], Any], path: str
) -> None:
    answer = visit(path)

    assert answer.status == 200
    assert "script-src 'self' 'unsafe-eval'" in policy(answer)
    assert errors(admin_page) == []


def test_admin_menu_that_needs_scripts_works(admin_page: Page, visit: Callable[[str], Any]) -> None:
    visit("/admin/agents/agent/")
    box = admin_page.locator("#action-toggle")
    box.check()
    expect(admin_page.locator("input.action-select").first).to_be_checked()
