"""The dashboard as an admin looks at it: figures that move, charts with their numbers, on a desk and on a phone."""

import gzip
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from playwright.sync_api import BrowserContext, Page, expect

from agents.models import Run
from monitoring.models import Snapshot
from monitoring.snapshots import minute_now
from tests.browser.conftest import picture
from tests.browser.test_looks import PHONE, violations
from tests.factories import make_host, make_run

LIMIT = 60_000  # bytes of scripts, as they are sent


@pytest.fixture
def admin(alice: User) -> User:
    User.objects.filter(pk=alice.pk).update(is_staff=True, is_superuser=True)
    return alice


@pytest.fixture
def busy(admin: User) -> Run:
    """A run that is being written, and an hour of figures, and some to come: no chart ends in half a point."""
    now = minute_now()
    figures = {"runs_finished:done": 4, "runs_running": 2, "tokens_written": 900, "run_failures:stalled": 1}
    Snapshot.objects.bulk_create(
        Snapshot(span="minute", at=now - timedelta(minutes=minute), figures=figures) for minute in range(-10, 60)
    )
    return make_run(owner=admin, status=Run.Status.RUNNING, host=make_host(name="attic", max_parallel=2))


def test_figures_move_when_a_run_ends(page: Page, busy: Run) -> None:
    page.goto("/dashboard/")
    running, tokens = page.locator('[data-tile="running"] b'), page.locator('[data-tile="tokens"] b')
    expect(running).to_have_text("1")
    link = page.locator('[data-tile="running"] a')
    link.focus()

    Run.objects.filter(pk=busy.pk).update(status=Run.Status.DONE, finished_at=Now(), output_tokens=600)

    expect(running).to_have_text("0")
    expect(tokens).to_have_text("10.0")
    expect(link).to_be_focused()
    expect(page.locator('[data-tile="sockets"] b')).to_have_text("1")


def test_charts_are_tables_too_and_every_size_and_theme_is_fit_for_all(
    open_context: Callable[..., BrowserContext], busy: Run
) -> None:
    wide, phone = open_context(viewport={"width": 1280, "height": 1000}).new_page(), open_context(**PHONE).new_page()
    sent: set[str] = set()
    wide.on("response", lambda answer: sent.add(answer.url) if answer.request.resource_type == "script" else None)
    for page, name in ((phone, "phone"), (wide, "wide")):
        for theme in ("dark", "light"):
            page.emulate_media(color_scheme=theme)
            page.goto("/dashboard/")
            page.locator("lobby-charts[data-state=shown]").wait_for()
            picture(page, f"dashboard-{name}-{theme}")
            assert violations(page) == [], (name, theme)
    assert phone.evaluate("document.querySelector('lobby-dashboard').scrollWidth") <= 390
    assert sum(len(gzip.compress(httpx.get(url).content, 9)) for url in sent) <= LIMIT

    chart = wide.locator("figure").filter(has=wide.get_by_role("heading", name="Runs ended"))
    expect(chart.get_by_role("img")).to_have_accessible_name("Runs ended, per minute. done: 4 at the end, 4 at most.")
    chart.get_by_text("As a table").click()
    expect(chart.locator("tbody tr")).to_have_count(287)
    expect(chart.locator("thead th")).to_have_text(["From", "done"])
