"""Tests wait for a condition, never for a time."""

from collections.abc import Callable
from time import monotonic, sleep


def wait_for(condition: Callable[[], object], *, seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {condition}")
        sleep(0.02)
