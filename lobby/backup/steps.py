"""What the user sees while it works: the step it is at, and how far it is with it."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lobby.backup.archive import human


class Steps:
    """A step takes the line of the one before. Where nobody looks (a log, a pipe) nothing is shown."""

    def __init__(self, console: Console) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"), TimeElapsedColumn()
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task: TaskID | None = None
        self._done, self._unit = 0, ""

    def __enter__(self) -> "Steps":
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def begin(self, what: str, *, total: int | None = None, unit: str = "") -> None:
        """`total` in `unit`s, in bytes where there is no unit; none: nobody knows how much it is."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._done, self._unit = 0, unit
        self._task = self._progress.add_task(what, total=total, done="")

    def advance(self, number: int = 1) -> None:
        if self._task is None:
            return
        self._done += number
        done = f"{self._done} {self._unit}" if self._unit else human(self._done)
        self._progress.update(self._task, advance=number, done=done)
