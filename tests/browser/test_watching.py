"""Alerts as an admin meets them: they appear while the dashboard is open, are taken in hand, and suit everybody."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, expect

from monitoring import alerts
from monitoring.figures import Sample
from monitoring.models import AlertRule
from tests.browser.conftest import picture
from tests.browser.doing import attached
from tests.browser.test_looks import PHONE, WIDE, violations
from tests.factories import make_host


@pytest.fixture
def admin(alice: User) -> User:
    User.objects.filter(pk=alice.pk).update(is_staff=True, is_superuser=True)
    return alice


@pytest.mark.usefixtures("admin")
def test_alert_appears_at_once_and_is_taken_in_hand(open_context: Callable[..., BrowserContext]) -> None:
    wide = open_context(color_scheme="light", **WIDE).new_page()
    phone = open_context(color_scheme="dark", **PHONE).new_page()
    wide.goto("/dashboard/")
    attached(wide)
    wide.locator("lobby-charts[data-state=shown]").wait_for()
    make_host(name="attic")
    for name, metric, severity in (("Host down", "host_up", "critical"), ("Replies fail", "failure_ratio", "warning")):
        AlertRule.objects.create(
            name=name, metric=metric, comparison="below", bound=1, severity=severity, advice="Start it."
        )

    alerts.evaluate([Sample("host_up", 0, {"host": "attic"}), Sample("failure_ratio", 0.2)])

    mine = wide.get_by_role("listitem").filter(has_text="Host down: attic")
    expect(mine).to_be_visible()
    for page, name in ((wide, "wide"), (phone, "phone")):
        for path in ("dashboard/", "health/deep", ""):
            page.goto(f"/{path}")
            picture(page, f"alerts-{path.strip('/').replace('/', '-') or 'home'}-{name}")
            assert violations(page) == [], (path, name)
    expect(phone.get_by_role("complementary", name="Alerts")).to_contain_text("Host down: attic.")

    wide.goto("/dashboard/")
    wide.get_by_role("button", name="Take in hand: Host down: attic").click()

    expect(mine).to_contain_text("taken in hand by alice")
    phone.goto("/")
    expect(phone.get_by_role("complementary", name="Alerts")).to_have_count(0)
