"""Calls that may hang, made in daemon threads: who asks waits as long as he wants to, and the process may end."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class Late(Exception):
    """There was no answer in time; the call goes on in its thread."""

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"no answer within {seconds:g} s")


def begin(call: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    Thread(target=_answer, args=(future, call), name="aside", daemon=True).start()
    return future


def wait_for(future: Future[T], *, seconds: float) -> T:
    """What the call returned or raised. Raises Late."""
    try:
        return future.result(max(0.0, seconds))
    except TimeoutError:
        if future.done():  # it is the call that says so
            raise
        raise Late(seconds=seconds) from None


def within(seconds: float, call: Callable[[], T]) -> T:
    return wait_for(begin(call), seconds=seconds)


def _answer(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
        future.set_exception(error)
