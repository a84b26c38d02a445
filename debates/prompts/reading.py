"""What all seats of a step are shown is read once. Whoever begins the step holds the debate, so nothing changes
meanwhile; without that, a debate's rows are read anew for each seat, and a step takes four times as long to begin."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Concatenate, ParamSpec, TypeVar

from debates.models import Debate

P = ParamSpec("P")
T = TypeVar("T")

_known: ContextVar[dict[Any, Any] | None] = ContextVar("known", default=None)


@contextmanager
def one_reading() -> Iterator[None]:
    """Within it, what is marked `read_once` is."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def read_once(read: Callable[Concatenate[Debate, P], T]) -> Callable[Concatenate[Debate, P], T]:
    """Of a debate, for a number and the like; what it gives is shared, so nobody changes it."""

    def known_or_read(debate: Debate, /, *args: P.args, **which: P.kwargs) -> T:
        known = _known.get()
        if known is None:
            return read(debate, *args, **which)
        key = (read, debate.pk, args, *sorted(which.items()))
        if key not in known:
            known[key] = read(debate, *args, **which)
        found: T = known[key]
        return found

    return known_or_read
