"""The pages of one's own account and of the audit trail, as a person sees them: light and dark, wide and on a phone."""

from django.contrib.auth.models import Permission, User
from playwright.sync_api import Page, expect

from agents.models import Agent
from lobby.accounts import keys
from lobby.accounts.models import ApiKey
from tests.browser.conftest import picture
from tests.browser.test_looks import violations

SIZES = {"wide": (1280, 800), "phone": (390, 844)}


def look(page: Page, name: str) -> None:
    """No violation, and nothing wider than the screen."""
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, size)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            picture(page, f"{name}-{theme}-{size}")
            assert violations(page) == [], (name, theme, size)


def test_account_keys_leaving_and_the_trail_look_right_and_can_be_used(page: Page, alice: User, agent: Agent) -> None:
    alice.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    keys.revoke(keys.make(alice, name="An old laptop", scopes=["read"])[0])

    page.goto("/")
    page.get_by_role("button", name="alice").click()
    page.get_by_role("menuitem", name="Your account").click()
    expect(page.get_by_role("heading", name="alice")).to_be_visible()
    look(page, "account")

    page.get_by_role("link", name="Open API keys").click()
    page.get_by_label("What it is for").fill("Nightly backup")
    page.get_by_label("chat: ask agents").check()
    page.get_by_label("How long it works").select_option(label="90 days")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("status")).to_contain_text("Copy the key now")
    shown = page.get_by_role("status").locator("code").inner_text()
    look(page, "keys")
    row = keys.find(shown)
    assert row is not None
    assert (row.name, row.scopes) == ("Nightly backup", ["read", "chat"])

    page.get_by_role("button", name="Revoke the key Nightly backup").click()
    expect(page.get_by_role("status")).to_contain_text("opens nothing any more")
    assert not ApiKey.objects.filter(revoked_at=None).exists()

    page.goto("/audit/")
    page.get_by_label("Did what").fill("apikey")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("cell", name="apikey.revoked")).to_have_count(2)
    look(page, "audit")

    page.goto("/account/delete/")
    look(page, "delete-account")
