"""Deadlines of a generation, and the watch that keeps them."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agents.ollama.errors import Stalled


@dataclass(slots=True)
class Deadlines:
    """Seconds. May be changed while a generation waits, e.g. when its model turns out to be cold.

    `first_token` runs from the request, since no header comes before the first token (ollama.md, rule 1). `end` is how
    long the end of an answer that is complete is waited for: it fails nothing, but saves the connection for the next.
    """

    first_token: float = 30.0
    between: float = 30.0
    total: float = 600.0
    end: float = 0.1


class Watch:
    """Raises `Stalled` in a `with watch:` block, which may be entered again and again, once a deadline has passed.

    One timer per generation instead of one per token: it looks at the time of the last entry when it
    fires, and is set anew where that leaves time. What happens outside the blocks (the consumer's own
    work) is on nobody's clock but `total`'s.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._began = self._since = self._loop.time()
        self._waits_for_first = True
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired: Stalled | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begun(self) -> None:
        """The first token has come: from now on `between` counts, which may end earlier than the timer."""
        if self._waits_for_first:
            self._waits_for_first = False
            self.close()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task; for the type checker
        self._task = task
        self._cancelling = task.cancelling()
        if not self._waits_for_first:
            self._since = self._loop.time()
        if self._timer is None:
            self._set_timer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._expired is None or task is None:
            return
        # As asyncio.timeout does: where somebody else cancelled the task too, that goes first.
        if task.uncancel() <= self._cancelling:
            raise self._expired from None

    def _set_timer(self) -> None:
        # Never in the past: a deadline that passed while the consumer worked fires on the next turn.
        self._timer = self._loop.call_at(self._due()[0], self._look)

    def _due(self) -> tuple[float, str, float]:
        name = "first_token" if self._waits_for_first else "between"
        seconds: float = getattr(self._deadlines, name)
        last = self._began + self._deadlines.total
        if last < self._since + seconds:
            return last, "total", self._deadlines.total
        return self._since + seconds, name, seconds

    def _look(self) -> None:
        self._timer = None
        if self._task is None:
            return
        when, name, seconds = self._due()
        if self._loop.time() < when:
            self._set_timer()
            return
        self._expired = Stalled(name, seconds=seconds)
        self._task.cancel()
