"""What goes wrong on a page says under which reference the logs know it."""

import re

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from agents.models import Run
from debates.models import Debate, Speech
from tests.browser.conftest import picture
from tests.browser.debating import lane
from tests.browser.test_looks import PHONE, violations
from tests.debates.rows import add_run, make_debate

REFERENCE = re.compile(r"Reference [0-9a-f]{32}")


def test_stage_shows_the_reference_of_what_failed_and_its_dialogs_and_toasts_that_of_what_was_refused(
    page: Page, alice: User
) -> None:
    debate = make_debate(owner=alice, votes=["AAB", "AAB"])
    failed = Speech.objects.select_related("round__debate", "seat__agent").filter(round__debate=debate).last()
    assert failed
    add_run(failed, status=Run.Status.FAILED, request_id="ab" * 16)
    failed.status, failed.text, failed.html, failed.error = Speech.Status.FAILED, "", "", "The host went away."
    failed.save()
    page.goto(f"/debates/{debate.pk}/")

    said = lane(page, failed.seat.name).locator(".notice.error")
    expect(said).to_have_text(f"The host went away. Reference {'ab' * 16}")
    assert violations(page) == []
    page.set_viewport_size(PHONE["viewport"])
    said.scroll_into_view_if_needed()
    assert said.evaluate("it => it.getBoundingClientRect().right <= it.closest('.lane').getBoundingClientRect().right")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(page, "debates-failed-reference")

    Debate.objects.all().delete()
    page.get_by_role("button", name="One more challenge").click()
    expect(page.locator("lobby-toasts")).to_contain_text(REFERENCE)
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_role("alert").filter(has_text="not yours")).to_contain_text(REFERENCE)
