"""Several web processes behind one address count into files of one folder: whichever of them is asked knows all.

Which kind of counter a process makes is settled when prometheus_client is first imported, so `join` comes before that.
"""

import fcntl
import multiprocessing
import os
import shutil
from pathlib import Path
from typing import IO

import psutil
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from lobby import env

NAME = "metrics-"  # and the number of the process that started them
held: list[IO[str]] = []  # the lock, as long as the process lives


def join() -> None:
    """Share the folder, if there is one. The first of the processes finds it as an earlier start left it, and empties
    it. Raises ImproperlyConfigured."""
    folder = _folder()
    if folder is None:
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held.append((folder / "lock").open("w"))
    except OSError as error:
        raise ImproperlyConfigured(
            f"PROMETHEUS_MULTIPROC_DIR: nothing can be written in {folder}: {error.strerror}"
        ) from error
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    _empty_if_first(folder, held[-1])


def _folder() -> Path | None:
    """The given one, or, where uvicorn started this process as one of several (`--workers`), theirs. Web only."""
    if os.environ.get("LOBBY_PROCESS") != "web":
        return None
    if given := env.text("PROMETHEUS_MULTIPROC_DIR"):
        return Path(given)
    if parent := multiprocessing.parent_process():
        return _folder_of(parent.pid or 0)
    return None


def _folder_of(parent: int) -> Path:
    """Those of earlier starts go."""
    place = Path(settings.LOBBY_HOME) / "run"
    for earlier in place.glob(f"{NAME}*"):
        if not psutil.pid_exists(int(earlier.name.removeprefix(NAME))):
            shutil.rmtree(earlier, ignore_errors=True)
    return place / f"{NAME}{parent}"


def _empty_if_first(folder: Path, lock: IO[str]) -> None:
    """The lock is shared among those who count here, and goes with them, however they end."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # others are counting already
    else:
        for file in folder.glob("*.db"):
            file.unlink()
    fcntl.flock(lock, fcntl.LOCK_SH)
