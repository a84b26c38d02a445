"""What a look at a part of the installation found, in words, for pages, programs and `lobby doctor`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    state: State
    words: str
    advice: str = ""  # where something is wrong


def worst(findings: Iterable[Finding]) -> State:
    states = {finding.state for finding in findings}
    return "fail" if "fail" in states else "warn" if "warn" in states else "ok"


def graded(value: float, *, warn: float, fail: float) -> State:
    """The higher the worse; where `fail` is below `warn`, the lower the worse."""
    if fail < warn:
        value, warn, fail = -value, -warn, -fail
    return "fail" if value >= fail else "warn" if value >= warn else "ok"
