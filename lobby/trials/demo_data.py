"""`lobby demo-data`. `lobby up` reads this too, so what it needs is imported when it is called."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from lobby.backup import NotDone, place
from lobby.doctor import running_lobby, take_over
from lobby.embedded.child import StartFailed
from lobby.embedded.home import home_of
from lobby.embedded.up import setting

console = Console(highlight=False, markup=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
REAL = (
    "Somebody has asked questions here already, and demonstration data would stand among them. Use another "
    "installation (LOBBY_HOME or DATABASE_URL), or say --yes; `lobby demo-data --remove` takes away what was made, and "
    "nothing else."
)
THERE = "There is demonstration data already. Take it away first: lobby demo-data --remove"
NOTHING = "There is no installation yet: start it once with `lobby up`, or give DATABASE_URL."


def demo_data(
    runs: Annotated[int, typer.Option(min=1, max=20_000_000, help="How many, over 90 days.")] = 100_000,
    remove: Annotated[bool, typer.Option("--remove", help="Take away what an earlier call has made.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Also where there are real questions.")] = False,
) -> None:
    """Make a believable test installation: users, hosts, conversations, debates and runs of a season."""
    try:
        with errors.status("Looking") as status, installation(status.update):
            said = removed(status.update) if remove else made(runs, yes=yes, doing=status.update)
    except (NotDone, StartFailed) as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    console.print(said)


@contextmanager
def installation(doing: Callable[[str], None]) -> Iterator[None]:
    """Django set up on its database, whether it runs or not. Raises NotDone, StartFailed."""
    home = home_of(os.environ)
    if running_lobby(home):
        take_over(home)  # its Redis hears of sessions that end
    if not setting("DATABASE_URL") and not (home / "postgres" / "PG_VERSION").exists():
        raise NotDone(NOTHING)
    with place.database(home, doing=doing) as url:
        os.environ.update({"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "lobby.settings"})
        import django  # noqa: PLC0415 - not before its settings can be read

        django.setup()
        yield


def made(runs: int, *, yes: bool, doing: Callable[[str], None]) -> str:
    from lobby.trials import demonstration  # noqa: PLC0415 - Django is set up by now

    if demonstration.has_real_data() and not yes:
        raise NotDone(REAL)
    try:
        found = demonstration.make(runs=runs, doing=doing)
    except demonstration.AlreadyThere:
        raise NotDone(THERE) from None
    return f"Made {found.words()}. `lobby demo-data --remove` takes all of it away."


def removed(doing: Callable[[str], None]) -> str:
    from lobby.trials import demonstration  # noqa: PLC0415

    if not demonstration.is_there():
        return "There is no demonstration data."
    return f"Removed {demonstration.remove(doing=doing):,} rows."
