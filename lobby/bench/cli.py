"""`lobby bench`. What runs on Django is imported once its settings can be read, which is when the stack is up."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.status import Status

from lobby.bench import figures
from lobby.bench.stack import running
from lobby.embedded.child import StartFailed
from lobby.embedded.supervisor import interrupted_by_signals

app = typer.Typer(no_args_is_help=True)
console = Console(highlight=False, markup=False, stderr=True)

Markdown = Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
Processes = Annotated[int, typer.Option(min=1, max=16)]


@app.callback()
def about() -> None:
    """Measure this machine against the figures the project holds itself to."""


@app.command()
def chat(  # noqa: PLR0913, PLR0917 - the options of a command
    chats: Annotated[str, typer.Option(help="How many at once, one measurement each.")] = "1,50,200",
    tokens: Annotated[int, typer.Option(min=1, help="Of a reply.")] = 200,
    rate: Annotated[float, typer.Option(min=1, help="Tokens per second of each reply.")] = 50,
    rounds: Annotated[int, typer.Option(min=1, help="Questions of each chat.")] = 3,
    sequence: Annotated[int, typer.Option(min=1, help="Questions of the one chat, one after another.")] = 40,
    stops: Annotated[
        int, typer.Option(min=1, help="Replies stopped mid-way, and as many before the first token.")
    ] = 32,
    idle_sockets: Annotated[int, typer.Option(min=0, help="Sockets that only stay open.")] = 0,
    idle_seconds: Annotated[float, typer.Option(min=1, help="For how long.")] = 30,
    rows_too: Annotated[bool, typer.Option("--rows/--no-rows", help="Count PostgreSQL's writes: 22 s more.")] = True,
    web: Processes = 1,
    workers: Processes = 1,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Times of a chat, and what it costs."""
    machine = figures.machine()
    with stack_or_exit(web=web, workers=workers) as (stack, doing):
        from lobby.bench import rows  # noqa: PLC0415
        from lobby.bench.chat import ChatBench, Size  # noqa: PLC0415

        size = Size(numbers(chats), tokens, rate, rounds, sequence, stops, idle_sockets, idle_seconds, rows_too)
        bench = ChatBench(stack, rows.make_agent(host=stack.url("fake")), size, doing=doing)
        bench.run()
    counts = {"replies": len(bench.replies), "failed": len(bench.failed), "dropped": bench.dropped}
    report(bench.figures, machine=machine, counts=counts, markdown=markdown, as_json=as_json)
    for reply in bench.failed[:5]:
        console.print(f"failed: {reply}", style="red")


@app.command()
def dashboard(
    runs: Annotated[int, typer.Option(min=1000, help="In the table.")] = 1_000_000,
    times: Annotated[int, typer.Option(min=1, help="Each page is asked for so often.")] = 50,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Server time of the dashboard, of the admin's lists and of the API's questions, among many runs."""
    machine = figures.machine()
    with stack_or_exit(web=0, workers=0) as (_, doing):
        from lobby.bench.dashboard import DashboardBench  # noqa: PLC0415

        bench = DashboardBench(runs, times, doing=doing)
        bench.run()
    report(bench.figures, machine=machine, counts={}, markdown=markdown, as_json=as_json)


@app.command(name="admin")
def admin_lists(
    rows: Annotated[int, typer.Option(min=1000, help="In each table that can grow.")] = 100_000,
    runs: Annotated[int, typer.Option(min=1000, help="In the table of runs.")] = 1_000_000,
    times: Annotated[int, typer.Option(min=1, help="Each page is asked for so often.")] = 5,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Server time and statements of every list page of the admin. Takes some three minutes, most of them for rows."""
    machine = figures.machine()
    with stack_or_exit(web=0, workers=0) as (_, doing):
        from lobby.bench.admin import AdminBench  # noqa: PLC0415

        bench = AdminBench(rows, runs, times, doing=doing)
        bench.run()
    report(bench.figures, machine=machine, counts={}, markdown=markdown, as_json=as_json)


@app.command()
def chaos(  # noqa: PLR0913, PLR0917
    kills: Annotated[int, typer.Option(min=1, help="Kills, reloads and cuts; freezes and restarts on top.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed does the same in the same order.")] = 1,
    chats: Annotated[int, typer.Option(min=1, max=100, help="That go on meanwhile.")] = 8,
    tokens: Annotated[int, typer.Option(min=1, help="Of a reply.")] = 150,
    rate: Annotated[float, typer.Option(min=1, help="Tokens per second of each reply.")] = 50,
    web: Processes = 2,
    workers: Processes = 2,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Kill, freeze, reload and cut, and count what is lost: nothing may be. Takes some ten minutes."""
    machine = figures.machine()
    with stack_or_exit(web=web, workers=workers) as (stack, doing):
        from lobby.bench import rows  # noqa: PLC0415
        from lobby.bench.chaos import ChaosBench  # noqa: PLC0415

        agent = rows.make_agent(host=stack.url("fake"))
        bench = ChaosBench(stack, agent, chats, tokens, rate, kills, seed, doing=doing)
        asyncio.run(bench.run())
    counts = {"replies": len(bench.asked), **bench.counts}
    report(bench.figures, machine=machine, counts=counts, markdown=markdown, as_json=as_json)
    for asked in bench.problems()[:5]:
        console.print(f"not done: {asked.question} {asked.run} {asked.status} {asked.problem}", style="red")
    for words in bench.slow_recoveries()[:5]:
        console.print(words, style="red")


@app.command()
def debates(  # noqa: PLR0913, PLR0917
    single: Annotated[int, typer.Option(min=1, help="How many by themselves, one after another.")] = 3,
    number: Annotated[int, typer.Option("--debates", min=1, max=30, help="How many at once.")] = 10,
    tokens: Annotated[int, typer.Option(min=30, help="Of a speech.")] = 150,
    ballot_tokens: Annotated[int, typer.Option(min=10, help="Of a ballot.")] = 60,
    rate: Annotated[float, typer.Option(min=1, help="Tokens per second of each run.")] = 50,
    kills: Annotated[int, typer.Option(min=1, max=9, help="Of the only worker, three in a debate.")] = 9,
    lane_rounds: Annotated[int, typer.Option(min=2, max=5, help="Of nine seats that share two slots.")] = 5,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Times of a debate beyond its model's own, and what a killed worker costs it. Takes some four minutes."""
    machine = figures.machine()
    with stack_or_exit(web=1, workers=1) as (stack, doing):
        from lobby.bench.debates import DebatesBench, Size  # noqa: PLC0415

        bench = DebatesBench(stack, Size(single, number, tokens, ballot_tokens, rate, kills, lane_rounds), doing)
        asyncio.run(bench.run())
    counts = {"debates": len(bench.courses), "lost": bench.lost, "odd": len(bench.odd), "repeated": bench.repeated}
    report(bench.figures, machine=machine, counts=counts, markdown=markdown, as_json=as_json)


@app.command()
def stage(  # noqa: PLR0913, PLR0917
    minutes: Annotated[float, typer.Option(min=0.5, help="How long the page is watched.")] = 30,
    seats: Annotated[int, typer.Option(min=3, max=12, help="Agents that speak at the same time.")] = 7,
    tokens: Annotated[int, typer.Option(min=30, max=2000, help="Of a speech.")] = 2000,
    rate: Annotated[float, typer.Option(min=1, help="Tokens per second of each agent.")] = 50,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """What the page of a debate costs the browser that shows it. Needs Chromium, as the browser tests do."""
    machine = figures.machine()
    with stack_or_exit(web=1, workers=1) as (stack, doing):
        from lobby.bench.stage import StageBench  # noqa: PLC0415

        bench = StageBench(stack, minutes, seats, tokens, rate, doing)
        asyncio.run(bench.run())
    report(bench.figures, machine=machine, counts={"rounds": bench.rounds_held}, markdown=markdown, as_json=as_json)


@app.command()
def metrics(
    runs: Annotated[int, typer.Option(min=1000, help="In the table, over 90 days.")] = 1_000_000,
    recent: Annotated[int, typer.Option(min=0, help="Ended since the totals were sealed.")] = 1000,
    scrapes: Annotated[int, typer.Option(min=1, help="After a first one.")] = 100,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """What a scrape of /metrics takes with a long history. Takes some three minutes, most of them to make it."""
    machine = figures.machine()
    token = secrets.token_urlsafe()
    os.environ["LOBBY_METRICS_TOKEN"] = token  # of the web process that is about to be started
    with stack_or_exit(web=1, workers=0) as (stack, doing):
        from lobby.bench.metrics import MetricsBench  # noqa: PLC0415

        bench = MetricsBench(stack, runs, recent, scrapes, token, doing)
        bench.run()
    counts = {"runs": runs, "counted": int(bench.told)}
    report(bench.figures, machine=machine, counts=counts, markdown=markdown, as_json=as_json)


def numbers(text: str) -> list[int]:
    try:
        found = [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers such as 1,50,200") from None
    if min(found) < 1:
        raise typer.BadParameter("there is no chat with fewer than one page")
    return found


@contextmanager
def stack_or_exit(*, web: int, workers: int) -> Iterator[tuple[Any, Callable[[str], None]]]:
    """A running stack, and where to say what is being done. Exits 1 with one line where it does not start."""
    status = console.status("Starting")
    try:
        with interrupted_by_signals(), status, running(web=web, workers=workers, doing=teller(status)) as stack:
            yield stack, teller(status)
    except StartFailed as error:
        console.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def teller(status: Status) -> Callable[[str], None]:
    """A line that moves on a terminal, lines one after another elsewhere."""
    return status.update if console.is_terminal else lambda words: console.print(words)


def report(
    found: Sequence[figures.Figure],
    *,
    machine: dict[str, str],
    counts: dict[str, Any],
    markdown: bool,
    as_json: bool,
) -> None:
    out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    if as_json:
        print(json.dumps({"machine": machine, "counts": counts, "figures": [figure.as_json() for figure in found]}))
    elif markdown:
        print(
            "\n".join(f"- {name}: {value}" for name, value in machine.items()), figures.as_markdown(found), sep="\n\n"
        )
    else:
        for name, value in machine.items():
            out.print(f"{name:12} {value}")
        out.print(figures.as_table(found))


if __name__ == "__main__":
    app(prog_name="lobby bench")
