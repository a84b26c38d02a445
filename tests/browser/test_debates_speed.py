"""The stage stays light: little script, and seven agents who speak at once leave the page to its reader."""

import gzip

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import CDPSession, Page, expect

from agents.models import Agent, Host, Run
from debates import controls, launching
from debates.launching import Place
from debates.models import Debate
from lobby.embedded.child import Child
from tests.browser.conftest import MODEL
from tests.browser.debating import make_panel
from tests.debates.rows import make_debate
from tests.fake_ollama import FakeOllama
from tests.waiting import wait_for

SEVEN = ("analyst", "researcher", "quantifier", "skeptic", "pragmatist", "analyst", "skeptic")
SENTENCE = "Rust has eaten a third of the cable, **and** the `count` of 2023 says so."
PARAGRAPH = [word + " " for word in SENTENCE.split(" ")] * 3 + ["So.\n\n"]
WATCHED = 4_000  # milliseconds


@pytest.fixture(autouse=True)
def panel(agent: Agent) -> None:
    make_panel()
    Host.objects.update(max_parallel=8)


def start(alice: User) -> Debate:
    agents = {agent.slug: agent for agent in Agent.objects.all()}
    places = [Place(agents[slug], MODEL) for slug in (*SEVEN, "moderator")]
    return launching.start(
        owner=alice, question="Is it so?", options=["Yes", "No"], panel=places, speech_tokens=2000, max_tokens=1_000_000
    )


def streamed(page: Page) -> int:
    return int(
        page.evaluate("[...document.querySelectorAll('.live')].reduce((sum, one) => sum + one.textContent.length, 0)")
    )


def spent(session: CDPSession) -> dict[str, float]:
    found = session.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found}


@pytest.mark.timeout(120)
def test_seven_agents_at_once_leave_most_of_the_main_thread_free(
    page: Page, worker: Child, fake: FakeOllama, alice: User
) -> None:
    """At 350 tokens a second; the quietest of three spans, for other programs use the machine as well."""
    fake.script(tokens=PARAGRAPH * 30, rate=50)
    debate = start(alice)
    page.goto(f"/debates/{debate.pk}/")
    expect(page.locator(".lane[data-state=speaking]")).to_have_count(7)
    session = page.context.new_cdp_session(page)
    session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    session.send("Performance.enable")
    shares = [busy(page, session) for _ in range(3)]
    controls.stop(debate)
    fake.wait_until(lambda stats: stats.open_now == 0)
    wait_for(lambda: not Run.objects.unfinished().exists())
    assert min(shares) <= 0.40


def busy(page: Page, session: CDPSession) -> float:
    """The share of a span in which the main thread worked, while every lane streamed."""
    before, had = spent(session)["TaskDuration"], streamed(page)
    page.wait_for_timeout(WATCHED)  # the span that is measured, not a wait for something to happen
    after, has = spent(session)["TaskDuration"], streamed(page)
    share = (after - before) / (WATCHED / 1000)
    print(f"main thread {share:.1%}, {has - had} characters")
    assert has - had > 7 * 30 * WATCHED / 1000 * 3  # more than 30 tokens a second each
    return share


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
    assert settled()["JSEventListeners"] <= before["JSEventListeners"] + 2


def test_all_scripts_of_the_stage_stay_small(page: Page, alice: User) -> None:
    """60 kB gzipped is the limit of the design; measured as a server that compresses would send them."""
    scripts: dict[str, bytes] = {}
    page.on("response", lambda answer: scripts.update({answer.url: answer.body()}) if ".js" in answer.url else None)
    debate = make_debate(owner=alice, votes=["AAB", "AAA"])
    page.goto(f"/debates/{debate.pk}/")
    page.wait_for_load_state("networkidle")
    assert {"debate-stage.js", "smd.min.js"} < {url.rpartition("/")[2] for url in scripts}
    assert sum(len(gzip.compress(body)) for body in scripts.values()) < 60_000
