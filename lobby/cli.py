"""The `lobby` command. Others add their own groups to `app`."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lobby.backup.cli import backup, restore
from lobby.bench.cli import app as bench
from lobby.config import config
from lobby.doctor import doctor
from lobby.embedded.child import StartFailed, end_leftovers
from lobby.embedded.home import AlreadyRunning, home_of, locked, open_home
from lobby.embedded.supervisor import interrupted_by_signals
from lobby.embedded.up import Lobby, address_of, check_port
from lobby.trials.cli import evaluate, simulate
from lobby.trials.demo_data import demo_data

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
app.add_typer(bench, name="bench")
app.command()(simulate)
app.command()(evaluate)
app.command()(demo_data)
app.command()(backup)
app.command()(restore)
app.command()(config)
app.command()(doctor)
console = Console(highlight=False, markup=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


@app.callback()
def about() -> None:
    """Agent Lobby: chat with local AI agents and have them debate."""


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web pages.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes, which run the agents.")] = 1,
) -> None:
    """Start everything on this machine, keep it running, stop it on Ctrl-C."""
    home, address = home_of(os.environ), address_of(host=host, port=port)
    try:
        open_home(home)
        with locked(home, address=address):
            end_leftovers(home)
            check_port(host=host, port=port)
            run(home, host=host, port=port, workers=workers, with_browser=not no_browser)
    except AlreadyRunning as running:
        if "://" not in running.address:  # a backup or a restore, which ends by itself
            errors.print(f"Not now: {running.address} (process {running.pid}).", style="bold red")
            raise typer.Exit(1) from None
        console.print(f"Agent Lobby already runs at {running.address} (process {running.pid}).")
    except StartFailed as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None


def run(home: Path, *, host: str, port: int, workers: int, with_browser: bool) -> None:
    status = console.status("Starting")
    lobby = Lobby(home, doing=status.update, say=console.print)
    try:
        with interrupted_by_signals():
            with status:
                path = lobby.start(host=host, port=port, workers=workers)
            announce(address_of(host=host, port=port), path=path, with_browser=with_browser)
            lobby.supervisor.watch()
    except KeyboardInterrupt:
        console.print("Stopping")
    finally:
        lobby.stop()


def announce(address: str, *, path: str, with_browser: bool) -> None:
    console.print("\nAgent Lobby runs at ", address, style="bold", sep="")
    console.print("Sign in, once, with ", address, path, sep="")
    console.print("Ctrl-C stops it.\n")
    if with_browser and has_browser():
        webbrowser.open(address + path)


def has_browser() -> bool:
    """Only one with windows: a browser in the terminal would take our place in it."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    app(prog_name="lobby")
