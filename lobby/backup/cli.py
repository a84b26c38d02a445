"""`lobby backup` and `lobby restore`. `lobby up` reads this too, so what they need is imported when they are called."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lobby.backup import NotDone
from lobby.embedded.child import StartFailed, folder
from lobby.embedded.home import home_of, open_home
from lobby.embedded.supervisor import interrupted_by_signals

console = Console(highlight=False, markup=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
INTERRUPTED = 130
WITH_KEY = "The secret key is in it: whoever has the file can sign in as anybody. Guard it like a password."
WITHOUT_KEY = (
    "The secret key is not in it (--with-secrets): keep LOBBY_HOME/secret_key or LOBBY_SECRET_KEY elsewhere. With "
    "another key, API keys, second factors, invitations and kept secrets have to be made anew."
)


@contextmanager
def refusals() -> Iterator[None]:
    """What was refused or went wrong is said in words: exit code 1; ended by the user: 130."""
    try:
        with interrupted_by_signals():
            yield
    except (NotDone, StartFailed) as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        errors.print("Stopped; nothing was changed or left behind.")
        raise typer.Exit(INTERRUPTED) from None


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="File to write, or a folder. Default: a dated file in LOBBY_HOME/backups.")
    ] = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Keep the secret key in it, too; then guard it like a password.")
    ] = False,
) -> None:
    """Write the whole installation, running or not, into one verified file."""
    from lobby.backup import making  # noqa: PLC0415
    from lobby.backup.steps import Steps  # noqa: PLC0415

    home = home_of(os.environ)
    with refusals(), Steps(errors) as steps:
        path = chosen(file, home=home)
        manifest = making.make(path, home=home, steps=steps, with_key=with_secrets)
    console.print(summary(path, manifest))
    console.print(WITH_KEY if with_secrets else WITHOUT_KEY)


def chosen(file: Path | None, *, home: Path) -> Path:
    name = f"lobby-{datetime.now(UTC):%Y-%m-%d-%H%M%S}.zip"
    if file is None:
        open_home(home)
        return folder(home, "backups") / name
    path = file.expanduser().resolve()
    return path / name if path.is_dir() else path


def summary(path: Path, manifest: dict[str, Any]) -> str:
    from lobby.backup.archive import human  # noqa: PLC0415

    tables = manifest["tables"]
    rows = sum(figures["rows"] for figures in tables.values())
    return f"{path}: {human(path.stat().st_size)}, {len(tables)} tables, {rows:,} rows, verified."


def restore(
    file: Annotated[Path, typer.Argument(help="What `lobby backup` wrote. Trust it: its database commands are run.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where there is data, of which a backup is made first.")
    ] = False,
) -> None:
    """Put a backup in the place of this installation, which must be stopped. All or nothing."""
    from lobby.backup import restoring  # noqa: PLC0415
    from lobby.backup.steps import Steps  # noqa: PLC0415

    home, path = home_of(os.environ), file.expanduser().resolve()
    with refusals(), Steps(errors) as steps:
        manifest = restoring.restore(path, home=home, replace=replace, steps=steps, say=console.print)
    console.print(f"Restored and compared: all {len(manifest['tables'])} tables are as of {manifest['made_at']}.")
    console.print("Whoever was shut out since then (sessions, keys, accounts) is in again: look through them.")
