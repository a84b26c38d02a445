"""`lobby config`: every setting, its value and where that comes from. What it means is read in docs/configuration.md.

`lobby up` reads this too, so what it needs is imported when it is called.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from django.core.exceptions import ImproperlyConfigured
from rich.console import Console
from rich.table import Table

from lobby import env
from lobby.embedded.home import home_of
from lobby.embedded.programs import PROJECT

DOCS = PROJECT / "docs" / "configuration.md"
NOT_BY_HAND = "What the parts tell each other"  # the section of variables that nobody sets
SECRET = {"KEY", "KEYS", "TOKEN", "SECRET", "SECRETS", "PASSWORD", "HEADERS"}  # a variable with one of these words
PREFIX = "LOBBY_"
HIDDEN = "***"
WIDTH = 160  # where there is no terminal to ask

errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Documented:
    name: str
    default: str  # in words
    what: str
    section: str


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    value: str  # as it may be shown
    source: str  # "default", "environment", the name of a `_FILE` variable, or "LOBBY_HOME"
    default: str
    what: str


@dataclass(frozen=True, slots=True)
class Unknown:
    name: str
    nearest: str  # a name that there is; empty where none is like it


def config(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show every setting, where it comes from and what it does; secrets are hidden."""
    problem = why_not_startable(home_of(os.environ))
    settings, unknown = list(settings_now()), list(unknown_variables())
    if as_json:
        told = {"settings": list(map(asdict, settings)), "unknown": list(map(asdict, unknown)), "problem": problem}
        typer.echo(json.dumps(told, indent=1))
    else:
        show(settings)
        for each in unknown:
            nearest = f" Did you mean {each.nearest}?" if each.nearest else ""
            errors.print(f"{each.name} is set, and nothing reads it.{nearest}", style="yellow")
        errors.print(problem, style="bold red", end="\n" if problem else "")
    raise typer.Exit(1 if problem else 0)


def show(settings: list[Setting]) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "value", "from", "what it does"):
        table.add_column(heading, overflow="fold")
    for each in settings:
        table.add_row(each.name, each.value, each.source, each.what, style="dim" if each.source == "default" else "")
    console.print(table)


def documented(page: str) -> Iterator[Documented]:
    """The rows of the page's tables of variables."""
    section = ""
    for line in page.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip()
        elif line.startswith("| `"):
            names, default, what = (cell.strip() for cell in line.strip("|").split(" | ", 2))
            for name in re.findall(r"`([A-Z0-9_]+)`", names):
                yield Documented(name, plain(default), plain(what), section)


def plain(markdown: str) -> str:
    return markdown.replace("`", "").strip()


def known() -> list[Documented]:
    return list(documented(DOCS.read_text()))


def settings_now() -> Iterator[Setting]:
    for each in known():
        if each.section != NOT_BY_HAND:
            yield found(each)


def found(each: Documented) -> Setting:
    try:
        reading = env.read(each.name)
    except ImproperlyConfigured as error:
        return Setting(each.name, str(error), f"{each.name}_FILE", each.default, each.what)
    value, source = shown(each.name, reading.value), reading.source
    home = home_of(os.environ)
    if each.name == "LOBBY_HOME":
        value = str(home)
    elif each.name == "LOBBY_SECRET_KEY" and source == "default" and (home / "secret_key").exists():  # noqa: S105
        value, source = "set", "LOBBY_HOME"
    elif source == "default":
        value = "not set" if is_secret(each.name) else each.default
    return Setting(each.name, value, source, each.default, each.what)


def is_secret(name: str) -> bool:
    return not SECRET.isdisjoint(name.split("_"))


def shown(name: str, value: str) -> str:
    """A secret is "set" or "not set"; of an address the password is hidden."""
    if is_secret(name):
        return "set" if value else "not set"
    value = re.sub(r"(://[^:@/]*):.*@", rf"\1:{HIDDEN}@", value)
    return re.sub(r"(password\s*=\s*)('(?:\\.|[^'])*'|[^\s&]+)", rf"\1{HIDDEN}", value, flags=re.IGNORECASE)


def unknown_variables() -> Iterator[Unknown]:
    """Those with our prefix that nothing reads: most likely misspelt."""
    names = [each.name for each in known()]
    names += [f"{name}_FILE" for name in names]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in names:
            # What all share would make anything alike
            ours = [each.removeprefix(PREFIX) for each in names if each.startswith(PREFIX)]
            nearest = get_close_matches(name.removeprefix(PREFIX), ours, n=1)
            yield Unknown(name, PREFIX + nearest[0] if nearest else "")


def why_not_startable(home: Path) -> str:
    """What is wrong with the settings, in words; empty where they make sense. Changes nothing: makes no secret key."""
    is_made_later = not (env.read("LOBBY_SECRET_KEY").value or (home / "secret_key").exists())
    try:
        if is_made_later and not env.flag("LOBBY_PRODUCTION", False):
            os.environ["LOBBY_SECRET_KEY"] = "made at the first start"  # noqa: S105
        import_module("lobby.settings")
    except ImproperlyConfigured as error:
        return str(error)
    finally:
        if is_made_later:
            os.environ.pop("LOBBY_SECRET_KEY", None)
    return ""
