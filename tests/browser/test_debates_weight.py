"""The stage stays light: little script, and nothing left behind. What it takes while seven speak: lobby bench stage."""

from django.contrib.auth.models import User
from playwright.sync_api import CDPSession, Page

from tests.browser.doing import until
from tests.browser.test_looks import scripts_of
from tests.debates.rows import make_debate
from tests.waiting import wait_for


def spent(session: CDPSession) -> dict[str, float]:
    found = session.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found}


def test_no_document_or_listener_is_left_behind_by_figures_that_come_anew(page: Page, alice: User) -> None:
    debate = make_debate(owner=alice, votes=["AAB", "AAB", "AAA"])
    page.goto(f"/debates/{debate.pk}/")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    stage = "document.querySelector('lobby-debate')"
    renew = f"{stage}.figureRenewal.now().then(() => {stage}.laneRenewal.now())"

    def settled() -> dict[str, float]:
        session.send("HeapProfiler.collectGarbage")
        return spent(session)

    for _ in range(5):
        page.evaluate(renew)
    before = settled()
    for _ in range(40):
        page.evaluate(renew)
    wait_for(lambda: settled()["Nodes"] <= before["Nodes"] * 1.1)
    wait_for(lambda: settled()["JSEventListeners"] <= before["JSEventListeners"] + 2)


def test_all_scripts_of_the_stage_stay_small(page: Page, alice: User) -> None:
    """60 kB gzipped is the limit of the design; measured as a server that compresses would send them."""
    debate = make_debate(owner=alice, votes=["AAB", "AAA"])
    page.goto(f"/debates/{debate.pk}/")
    until(page, "!!customElements.get('lobby-debate')")
    scripts = scripts_of(page)
    assert {"debate-stage.js", "smd.min.js"} < scripts.keys()
    assert sum(scripts.values()) < 60_000
