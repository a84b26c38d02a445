"""`lobby bench stage`: what the page of a debate takes of a browser's main thread, and whether it grows."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil

from playwright.async_api import CDPSession, Page, async_playwright

from debates.models import Debate
from lobby.bench import panels, rows
from lobby.bench.debates import script_panel
from lobby.bench.figures import Figure
from lobby.bench.stack import Stack
from lobby.database import in_database
from lobby.embedded.child import StartFailed
from tests.chromium import find

WINDOW = 10.0  # seconds
SETTLED = 60.0  # seconds after which the page has all its parts: growth is counted from there
BALLOT_TOKENS = 60
MOST_OF_MAIN_THREAD = 40  # per cent
HELD = (
    ("JSHeapUsedSize", "JavaScript heap", "MiB", 2**20),
    ("Nodes", "DOM nodes", "", 1),
    ("JSEventListeners", "event listeners", "", 1),
)
ARGS = ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-component-update"]
LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask", buffered: true });
"""


TIMES = {  # Chromium's names; the first is the time that tasks take, as opposed to the processor's time in them
    "TaskDuration": "main thread of the stage",
    "ThreadTime": "  of it processor time",
    "ScriptDuration": "  of it scripts",
    "RecalcStyleDuration": "  of it styles",
    "LayoutDuration": "  of it layout",
}
Sample = dict[str, float]  # what Chromium says of the page: seconds up to now, and what it holds


@dataclass
class StageBench:
    stack: Stack
    minutes: float
    seats: int
    tokens: int
    rate: float
    doing: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)

    @property
    def rounds_held(self) -> int:
        """So many that the debate outlasts the watching."""
        return ceil(self.minutes * 60 / ((self.tokens + BALLOT_TOKENS) / self.rate)) + 1

    async def run(self) -> None:
        self._take_sides(turn=0)
        debate, session = await in_database(self._start)
        self.doing(f"Watching {self.seats} agents for {self.minutes:g} min")
        async with self._page(session) as (page, cdp):
            await page.goto(f"{self.stack.addresses[0]}/debates/{debate.pk}/")
            await page.locator("lobby-reply").nth(self.seats - 1).wait_for()
            shares, held = await self._watch(cdp)
            pauses = await page.evaluate("longTasks")
        self._report(shares, held, pauses)

    def _take_sides(self, *, turn: int) -> None:
        """Other ones at every turn: a debate in which nobody moves any more ends by itself."""
        spoken = {"tokens": self.tokens, "json_tokens": BALLOT_TOKENS, "rate": self.rate}
        script_panel(self.stack, seats=self.seats, turn=turn, **spoken)

    def _start(self) -> tuple[Debate, str]:
        rows.make_agent(host=self.stack.url("fake"))
        owner, person = panels.make_owner()
        panel = panels.make_panel(self.seats)
        debate = panels.start(owner=owner, question="What now?", panel=panel, rounds_held=5, tokens=self.tokens)
        panels.lengthen(debate, rounds_held=self.rounds_held)
        return debate, person.session

    @asynccontextmanager
    async def _page(self, session: str) -> AsyncIterator[tuple[Page, CDPSession]]:
        found = find()
        if found is None:
            raise StartFailed("Chromium is needed: run scripts/test once, which gets one, or set CHROMIUM to its path")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=found, args=ARGS)
            context = await browser.new_context(viewport={"width": 1440, "height": 900})
            await context.add_cookies([{"name": "sessionid", "value": session, "url": self.stack.addresses[0]}])
            page = await context.new_page()
            await page.add_init_script(LONG_TASKS)
            cdp = await context.new_cdp_session(page)
            await cdp.send("Performance.enable")
            yield page, cdp
            await browser.close()

    async def _watch(self, cdp: CDPSession) -> tuple[list[Sample], list[Sample]]:
        """Per cent of the time that each of TIMES took in each window, and what was held at its end."""
        shares: list[Sample] = []
        held = [await measured(cdp)]
        ends = time.monotonic() + self.minutes * 60
        while time.monotonic() < ends:
            before = held[-1]
            await asyncio.sleep(WINDOW)
            after = await metrics(cdp)
            seconds = after["Timestamp"] - before["Timestamp"]
            shares.append({name: 100 * (after[name] - before[name]) / seconds for name in TIMES})
            held.append(await measured(cdp))
            await asyncio.to_thread(self._take_sides, turn=len(shares))
        return shares, held

    def _report(self, shares: list[Sample], held: list[Sample], pauses: list[float]) -> None:
        for name, words in TIMES.items():
            bar = MOST_OF_MAIN_THREAD if name == "TaskDuration" else None
            self.add(f"{words}, {self.seats} agents at {self.rate:g} tok/s", "%", [each[name] for each in shares], bar)
        self.add("tasks of more than 50 ms", "ms", pauses)
        begun = held[0]["Timestamp"] + SETTLED
        settled, last = next((each for each in held if each["Timestamp"] > begun), held[-1]), held[-1]
        self.add("watched after the first minute", "min", [(last["Timestamp"] - settled["Timestamp"]) / 60])
        for name, words, unit, one in HELD:
            self.add(f"{words} after the first minute", unit, [settled[name] / one])
            self.add("  and at the end", unit, [last[name] / one])

    def add(self, what: str, unit: str, values: Iterable[float], bar: float | None = None) -> None:
        self.figures.append(Figure(what, unit, list(values), bar))


async def measured(cdp: CDPSession) -> Sample:
    """After a collection of garbage, whose own time counts in no window."""
    await cdp.send("HeapProfiler.collectGarbage")
    return await metrics(cdp)


async def metrics(cdp: CDPSession) -> Sample:
    told = await cdp.send("Performance.getMetrics")
    return {metric["name"]: metric["value"] for metric in told["metrics"]}
