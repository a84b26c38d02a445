"""`lobby doctor`: every check there is, what it found and what to do. `lobby up` reads this too, so what it needs is
imported when it is called."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lobby.embedded.child import StartFailed
from lobby.embedded.home import AlreadyRunning, home_of, locked
from lobby.embedded.up import setting
from lobby.findings import Finding, worst

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
TOLD = ("DATABASE_URL", "REDIS_URL", "OLLAMA_HOST", "LOBBY_EMBEDDED_MODEL", "ALLOWED_HOSTS")  # by `lobby up`
WIDTH = 140  # where there is no terminal to ask


def doctor(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Check settings, parts and machine; say what is wrong and what to do. Exit code 1 if a check failed."""
    findings = list(examine(home_of(os.environ)))
    if as_json:
        typer.echo(json.dumps({"state": worst(findings), "findings": [asdict(each) for each in findings]}, indent=1))
    else:
        show(findings)
    raise typer.Exit(1 if worst(findings) == "fail" else 0)


def examine(home: Path) -> Iterator[Finding]:
    running = running_lobby(home)
    yield from told_of_running(running, home=home)
    if running:
        take_over(home)
    is_embedded_and_off = not running and not setting_of("DATABASE_URL")
    from lobby.config import why_not_startable  # noqa: PLC0415 - reads the settings

    if problem := why_not_startable(home):
        yield Finding(
            "settings", "fail", problem, "What each variable takes: docs/configuration.md, or `lobby config`."
        )
        return
    os.environ["DJANGO_SETTINGS_MODULE"] = "lobby.settings"
    import django  # noqa: PLC0415 - not before its settings can be read

    django.setup()
    from lobby import diagnosis  # noqa: PLC0415 - Django is set up by now

    yield from diagnosis.of_settings(home)
    yield from diagnosis.of_parts(
        without_database=is_embedded_and_off, without_redis=not (running or setting_of("REDIS_URL"))
    )
    if running and "://" in running.address:
        yield diagnosis.of_web(running.address)


def running_lobby(home: Path) -> AlreadyRunning | None:
    """What holds the lock of this home: a lobby with its address, or a backup."""
    if not (home / "lock").exists():
        return None
    try:
        with locked(home, address="a check-up is made"):
            return None
    except AlreadyRunning as running:
        return running
    except OSError:  # not ours to open
        return None


def told_of_running(running: AlreadyRunning | None, *, home: Path) -> Iterator[Finding]:
    if running:
        yield Finding("lobby", "ok", f"{running.address} (process {running.pid}), in {home}")
    elif setting_of("DATABASE_URL"):
        yield Finding("lobby", "ok", "the services that DATABASE_URL and REDIS_URL name; `lobby up` does not run here")
    else:
        words = f"does not run here (LOBBY_HOME {home}): only what can be looked at without it is checked"
        yield Finding("lobby", "warn", words, "Start it with `lobby up`, then ask again.")


def take_over(home: Path) -> None:
    """The addresses of the embedded services, which `lobby up` has made up and told its processes."""
    import psutil  # noqa: PLC0415 - for a lobby that runs

    try:
        pid = int((home / "run" / "web.pid").read_text().split()[0])
        told = psutil.Process(pid).environ()
    except (OSError, ValueError, IndexError, psutil.Error):
        return
    for name in TOLD:
        if name in told and not setting_of(name):
            os.environ[name] = told[name]


def setting_of(name: str) -> str:
    try:
        return setting(name)
    except StartFailed:  # a file that can't be read: the settings' check says so
        return ""


def show(findings: list[Finding]) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for each in findings:
        style = STYLES[each.state]
        advice = "" if each.state == "ok" else each.advice
        table.add_row(each.name, each.state, each.words, advice, style="" if each.state == "ok" else style)
    console.print(table)
    counts = {state: sum(each.state == state for each in findings) for state in STYLES}
    console.print(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")
