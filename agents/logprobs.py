"""What a row keeps of the probabilities that a model told token by token."""

from collections.abc import Iterable
from math import log
from typing import Any

LIKELY = log(0.01)


def likely(logprobs: Iterable[Any]) -> list[dict[str, Any]]:
    """The tokens, and of what could have stood in their places what had a chance of 1 % or more.

    Twenty alternatives for each token, with their bytes, are a hundred times as long as the text; who asked for the run
    is handed all of them.
    """
    return [
        _shown(entry) | {"top_logprobs": [_shown(other) for other in _alternatives(entry) if _is_likely(other)]}
        for entry in logprobs
        if isinstance(entry, dict)
    ]


def _alternatives(entry: dict[str, Any]) -> list[Any]:
    """Where the host sends anything else, none."""
    found = entry.get("top_logprobs")
    return found if isinstance(found, list) else []


def _is_likely(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("logprob"), float | int) and entry["logprob"] >= LIKELY


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {"token": str(entry.get("token", "")).replace("\0", ""), "logprob": entry.get("logprob")}
