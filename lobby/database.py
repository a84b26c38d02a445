"""Database work asked for from an event loop: done in a few threads, a connection held only while it works."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connection

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(max_workers=6, thread_name_prefix="database")


async def in_database(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a database thread. Raises what it raises."""
    call = partial(function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, _call, call, 0.0)


async def in_database_patiently(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The same, trying again for 30 s while the database is away: for conditional, repeatable writes only."""
    call = partial(function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, _call, call, 30.0)


def _call(call: Callable[[], T], patience: float) -> T:
    give_up = time.monotonic() + patience
    while True:
        try:
            return call()
        except (OperationalError, InterfaceError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)
        finally:
            _let_go()


def _let_go() -> None:
    """Give a pooled connection back, drop a broken one, keep a worker's healthy one."""
    if not connection.in_atomic_block:
        close_old_connections()
