"""Which migrations this Agent Lobby knows, and doing those that a restored database lacks."""

import os
import subprocess
import sys
from collections.abc import Callable

from lobby.backup import NotDone
from lobby.embedded.programs import PROJECT


def known() -> set[str]:
    """As "agents.0001_initial". Raises NotDone where the settings can't be read."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lobby.settings")
    import django  # noqa: PLC0415 - not before somebody restores
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    from django.db.migrations.loader import MigrationLoader  # noqa: PLC0415

    try:
        django.setup()
    except ImproperlyConfigured as error:
        raise NotDone(str(error)) from error
    return {".".join(key) for key in MigrationLoader(None).disk_migrations or ()}


def migrate(url: str, *, doing: Callable[[str], None]) -> None:
    """Raises NotDone."""
    doing("Bringing the tables up to date")
    command = [sys.executable, str(PROJECT / "manage.py"), "migrate", "--no-input", "--verbosity", "0"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=os.environ | {"DATABASE_URL": url}, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise NotDone(f"The tables of this older backup could not be brought up to date: {reason}")
