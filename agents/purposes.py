"""What runs are for. Each app that asks for runs adds, in AppConfig.ready, what is to happen when one ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.models import Run

# Called inside the transaction that ends the run, so that both happen or neither: quick, and it may enqueue runs.
PURPOSES: dict[str, Callable[["Run"], None]] = {}
